"""A statement by hour and by day: the windows, what falls into which, and that they add up to the invoice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import (
    Window,
    WindowSize,
    break_down,
    paired,
    scheduled_window,
    window_bounds,
    window_periods,
    without_zeros,
)
from app.core.invoice import assemble, finalize
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.period import HOUR, Period
from app.core.quantities import UsageKey
from app.core.rating import rate_statement
from tests.core.agreements import (
    AGREED,
    FREE_THEN_PAID,
    JANUARY,
    A,
    B,
    day,
    entry,
    flat,
    hour_lists,
    terms,
    usages,
    used,
)

D = Decimal


def shown(window: Window) -> str:
    """start: quantity@price … = total"""
    parts = [
        "rounding" if line.quantity is None or line.unit_price is None
        else f"{canonical(line.quantity)}@{canonical(line.unit_price)}"
        for line in window.lines
    ]  # fmt: skip
    return f"{window.period.starting_at:%d %H}: {', '.join(parts)} = {canonical(window.total)}"


def test_days_show_their_own_increment_at_its_tier_and_price() -> None:
    agreed = terms(entry(1, FREE_THEN_PAID), entry(2, flat("3"), "01-16"))
    windows = break_down(
        agreed, JANUARY, {UsageKey(A): used(d2="4", d3="7", d9="-2", d20="1")}, size=WindowSize.DAY, is_final=False
    )
    assert [shown(window) for window in windows] == [
        "02 00: 4@0 = 0",
        "03 00: 1@0, 5@1, 1@1.5 = 6.5",
        "09 00: -1@1, -1@1.5 = -2.5",
        "20 00: 1@3 = 3",
    ]


def test_the_rounding_lies_in_the_last_hour_of_the_statement() -> None:
    agreed = terms(entry(1, flat("0.335")))
    usage = {UsageKey(A): used(d10="3")}
    assert [shown(window) for window in break_down(agreed, JANUARY, usage, size=WindowSize.HOUR, is_final=True)] == [
        "10 01: 3@0.335 = 1.005",
        "31 23: rounding = 0.005",
    ]
    assert [shown(window) for window in break_down(agreed, JANUARY, usage, size=WindowSize.DAY, is_final=False)] == [
        "10 00: 3@0.335 = 1.005"
    ]


def test_a_day_in_which_a_price_changes_shows_both() -> None:
    agreed = terms(entry(1, flat("1")), entry(2, flat("2"), "01-02T12:00:00"))
    hours = [HourQuantity(day("01-02") + hour * HOUR, D(1)) for hour in (11, 12)]
    [window] = break_down(agreed, JANUARY, {UsageKey(A): hours}, size=WindowSize.DAY, is_final=True)
    assert shown(window) == "02 00: 1@1, 1@2 = 3"


@pytest.mark.parametrize(
    ("start", "end", "size", "bounds"),
    [
        ("01-30T10:00:00", "02-01T05:00:00", WindowSize.DAY, ["30 10", "31 00", "01 00"]),
        ("01-30", "02-01", WindowSize.DAY, ["30 00", "31 00"]),
        ("01-30T10:00:00", "01-30T12:00:00", WindowSize.DAY, ["30 10"]),
        ("01-30T22:00:00", "01-31T01:00:00", WindowSize.HOUR, ["30 22", "30 23", "31 00"]),
    ],
)
def test_windows_are_those_of_the_calendar_cut_at_the_statement(
    start: str, end: str, size: WindowSize, bounds: list[str]
) -> None:
    assert [f"{bound:%d %H}" for bound in window_bounds(Period(day(start), day(end)), size)] == bounds


@given(usages, st.sampled_from(WindowSize), st.booleans())
def test_windows_add_up_to_the_statement(
    usage: dict[UsageKey, list[HourQuantity]], size: WindowSize, is_final: bool
) -> None:
    windows = break_down(AGREED, JANUARY, usage, size=size, is_final=is_final)
    draft = assemble(rate_statement(AGREED, JANUARY, usage).lines, AGREED.unit)
    total = finalize(draft).total if is_final else draft.subtotal
    assert sum((window.total for window in windows), D(0)) == total
    sums: dict[object, Decimal] = {}
    for window in windows:
        for line in window.lines:
            assert line.starting_at is None or window.period.contains(line.starting_at)
            if line.type is LineType.USAGE and line.quantity is not None:
                kind = (line.product_id, line.pricing, line.tier, line.rate_id, line.unit_price)
                sums[kind] = sums.get(kind, D(0)) + line.quantity
    for line in draft.lines:
        kind = (line.product_id, line.pricing, line.tier, line.rate_id, line.unit_price)
        sums[kind] = sums.get(kind, D(0)) - (line.quantity or D(0))
    assert not any(sums.values())


@given(hour_lists)
def test_hours_add_up_to_days(hours: list[HourQuantity]) -> None:
    usage = {UsageKey(A): hours}
    by_day: dict[str, Decimal] = {}
    for window in break_down(AGREED, JANUARY, usage, size=WindowSize.HOUR, is_final=True):
        name = f"{window.period.starting_at:%d}"
        by_day[name] = by_day.get(name, D(0)) + window.total
    days = break_down(AGREED, JANUARY, usage, size=WindowSize.DAY, is_final=True)
    found = {f"{window.period.starting_at:%d}": window.total for window in days}
    assert {name: total for name, total in by_day.items() if total} == {k: v for k, v in found.items() if v}


def fixed(amount: str, date: str, *, kind: LineType = LineType.SCHEDULED, start: str | None = None) -> Line:
    """A fee or charge of data, dated."""
    service = None if start is None else day(start)
    return Line(kind, B, "data", "USD", D(1), D(amount), D(amount), service, service, charged_at=day(date))


def test_fees_and_charges_lie_in_the_window_of_their_date_or_in_the_last_one() -> None:
    agreed = terms(entry(1, flat("1")))
    windows = break_down(
        agreed, JANUARY, {UsageKey(A): used(d2="4")}, size=WindowSize.DAY, is_final=True,
        fees=[fixed("5", "02-01", kind=LineType.SUBSCRIPTION, start="01-01")],
        charges=[fixed("7.004", "01-02T13:00:00"), fixed("9", "02-01")],
    )  # fmt: skip
    assert [shown(window) for window in windows] == [
        "02 00: 4@1, 1@7.004 = 11.004",
        "31 00: 1@5, 1@9, rounding = 13.996",
    ]


@pytest.mark.parametrize(
    ("size", "start", "end"),
    [(WindowSize.DAY, "01-10", "01-11"), (WindowSize.HOUR, "01-10T13:00:00", "01-10T14:00:00")],
)
def test_a_scheduled_invoice_has_one_window(size: WindowSize, start: str, end: str) -> None:
    lines = [fixed("5", "01-10T13:20:00"), fixed("7", "01-10T13:20:00")._replace(in_total=False)]
    window = scheduled_window(day("01-10T13:20:00"), lines, size=size)
    assert (window.period, window.lines, window.total) == (Period(day(start), day(end)), tuple(lines), D(5))


def test_what_came_late_stands_beside_what_is_billed() -> None:
    agreed = terms(entry(1, flat("2")))
    billed, late = (
        break_down(agreed, JANUARY, {UsageKey(A): used(**usage)}, size=WindowSize.DAY, is_final=True)
        for usage in ({"d2": "4", "d9": "1"}, {"d2": "5", "d3": "7"})
    )
    pairs = paired(billed, late)
    assert [(shown(pair.billed), canonical(pair.late_amount)) for pair in pairs] == [
        ("02 00: 4@2 = 8", "2"), ("03 00:  = 0", "14"), ("09 00: 1@2 = 2", "-2")
    ]  # fmt: skip
    assert sum(pair.late_amount for pair in pairs) == D(14)


@pytest.mark.parametrize(("size", "count"), [(WindowSize.DAY, 31), (WindowSize.HOUR, 744)])
def test_windows_without_anything_are_there_when_they_are_asked_for(size: WindowSize, count: int) -> None:
    agreed = terms(entry(1, flat("2")))
    windows = break_down(agreed, JANUARY, {UsageKey(A): used(d2="4")}, size=size, is_final=True)
    periods = window_periods(JANUARY, size)
    assert (len(periods), periods[0].starting_at, periods[-1].ending_before) == (count, day("01-01"), day("02-01"))
    every = paired(windows, windows, periods)
    assert [pair.period for pair in every] == list(periods)
    assert [pair.billed for pair in every if pair.billed.lines] == list(windows)


def test_lines_of_no_quantity_can_be_left_out() -> None:
    nothing = fixed("0", "01-10")._replace(quantity=D(0))
    window = scheduled_window(day("01-10"), [fixed("5", "01-10"), nothing], size=WindowSize.DAY)
    assert without_zeros(window).lines == (fixed("5", "01-10"),)
    assert without_zeros(without_zeros(window)).total == window.total == D(5)
