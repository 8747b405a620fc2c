"""Scheduled charges: dates, instalments that add up, and the stored form."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.fees import Distribution, RecurringSchedule, ScheduledCharge, ScheduledItem
from app.core.money import Unit, canonical, exact, fiat
from app.core.period import Frequency
from app.core.scheduled import cut, instalments, schedule_from_json, schedule_to_json, scheduled_items
from tests.core.agreements import D, day

USD, JPY, TOKENS = fiat("USD"), fiat("JPY"), Unit("TOKENS", 0, is_fiat=False)
EACH, DIVIDED, ROUNDED = Distribution.EACH, Distribution.DIVIDED, Distribution.DIVIDED_ROUNDED


def recurring(
    distribution: Distribution,
    end: str = "04-01",
    *,
    start: str = "01-01",
    price: str = "1000",
    quantity: str = "1",
    frequency: Frequency = Frequency.MONTHLY,
) -> RecurringSchedule:
    return RecurringSchedule(day(start), day(end), frequency, D(price), D(quantity), distribution)


def charge(schedule: RecurringSchedule | tuple[ScheduledItem, ...], unit: Unit = USD) -> ScheduledCharge:
    return ScheduledCharge(UUID(int=1), UUID(int=2), unit, schedule, added=1)


def spelled(found: ScheduledCharge) -> list[str]:
    return [f"{item.at:%m-%d} {item.quantity} x {canonical(item.unit_price)}" for item in scheduled_items(found)]


@pytest.mark.parametrize(
    ("schedule", "unit", "expected"),
    [
        (recurring(EACH), USD, ["01-01 1 x 1000", "02-01 1 x 1000", "03-01 1 x 1000"]),
        (
            recurring(DIVIDED),
            USD,
            ["01-01 1 x 333.333333333333", "02-01 1 x 333.333333333333", "03-01 1 x 333.333333333334"],
        ),
        (recurring(ROUNDED), USD, ["01-01 1 x 333.33", "02-01 1 x 333.33", "03-01 1 x 333.34"]),
        (recurring(ROUNDED), JPY, ["01-01 1 x 333", "02-01 1 x 333", "03-01 1 x 334"]),
        (recurring(ROUNDED), TOKENS, ["01-01 1 x 333", "02-01 1 x 333", "03-01 1 x 334"]),
        # A unit price times a quantity stays so each time; divided it becomes one of each part.
        (recurring(EACH, "03-01", price="20", quantity="3"), USD, ["01-01 3 x 20", "02-01 3 x 20"]),
        (recurring(DIVIDED, "03-01", price="20", quantity="3"), USD, ["01-01 1 x 30", "02-01 1 x 30"]),
        # Months are counted from the first date.
        (recurring(EACH, start="01-31", price="5"), USD, ["01-31 1 x 5", "02-28 1 x 5", "03-31 1 x 5"]),
        (recurring(EACH, "12-31", price="5", frequency=Frequency.QUARTERLY), USD, [f"{m}-01 1 x 5" for m in ("01", "04", "07", "10")]),
        (recurring(EACH, "12-31", price="5", frequency=Frequency.SEMI_ANNUAL), USD, ["01-01 1 x 5", "07-01 1 x 5"]),
        (recurring(EACH, "12-31", price="5", frequency=Frequency.ANNUAL), USD, ["01-01 1 x 5"]),
    ],
)  # fmt: skip
def test_a_recurring_charge_and_its_instalments(schedule: RecurringSchedule, unit: Unit, expected: list[str]) -> None:
    assert spelled(charge(schedule, unit)) == expected


def test_items_come_by_date_and_those_of_one_date_as_given() -> None:
    items = tuple(
        ScheduledItem(day(at), D(price), D(1)) for at, price in (("02-01", "1"), ("01-10", "2"), ("01-10", "3"))
    )
    assert spelled(charge(items)) == ["01-10 1 x 2", "01-10 1 x 3", "02-01 1 x 1"]


@given(
    amount=st.decimals(min_value=0, max_value=10**9, places=6),
    parts=st.integers(1, 120),
    distribution=st.sampled_from([DIVIDED, ROUNDED]),
    unit=st.sampled_from([USD, JPY, TOKENS]),
)
def test_instalments_add_up_and_differ_in_the_last_only(
    amount: Decimal, parts: int, distribution: Distribution, unit: Unit
) -> None:
    found = instalments(amount, parts, distribution, unit)
    with exact():
        assert sum(found, D(0)) == amount
    assert len(found) == parts
    assert len(set(found[:-1])) <= 1
    if distribution is ROUNDED:
        assert all(part == part.quantize(D(1).scaleb(-unit.places)) for part in found[:-1])
        assert all(part <= found[-1] for part in found)


@pytest.mark.parametrize(
    "schedule",
    [
        recurring(ROUNDED, price="0.5", quantity="2.25"),
        (ScheduledItem(day("01-10"), D("7.5"), D(2)), ScheduledItem(day("01-11"), D(1), D(1))),
    ],
)
def test_the_stored_form_leads_back(schedule: RecurringSchedule | tuple[ScheduledItem, ...]) -> None:
    assert schedule_from_json(schedule_to_json(schedule)) == schedule


@pytest.mark.parametrize(
    ("end", "frequency", "reason"),
    [("04-01", Frequency.WEEKLY, "not WEEKLY"), ("01-01", Frequency.MONTHLY, "must lie after")],
)
def test_a_schedule_that_makes_no_sense(end: str, frequency: Frequency, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        recurring(EACH, end, frequency=frequency)


ONCE = (ScheduledItem(day("03-01"), D("7"), D("1")), ScheduledItem(day("01-01"), D("5"), D("2")))


@pytest.mark.parametrize(
    ("schedule", "end", "expected"),
    [
        pytest.param(recurring(EACH), "04-01", recurring(EACH), id="nothing is later"),
        pytest.param(recurring(EACH), "02-01", recurring(EACH, "02-01"), id="recurs for a shorter time"),
        pytest.param(recurring(EACH), "01-01", (), id="begins with the end"),
        pytest.param(
            recurring(ROUNDED), "03-01",
            (ScheduledItem(day("01-01"), D("333.33"), D("1")), ScheduledItem(day("02-01"), D("333.33"), D("1"))),
            id="instalments stay as they were",
        ),
        pytest.param(ONCE, "03-01", ONCE[1:], id="single dates"),
        pytest.param(ONCE, "01-01", (), id="nothing is left"),
    ],
)  # fmt: skip
def test_what_is_left_before_an_end(schedule: object, end: str, expected: object) -> None:
    assert cut(charge(schedule), end=day(end)) == expected  # type: ignore[arg-type]


def test_a_discount_comes_off_and_is_cut_as_it_was_written() -> None:
    discount = replace(charge(recurring(ROUNDED)), is_discount=True)
    assert spelled(discount) == ["01-01 1 x -333.33", "02-01 1 x -333.33", "03-01 1 x -333.34"]
    assert cut(discount, end=day("03-01")) == cut(charge(recurring(ROUNDED)), end=day("03-01"))
    nothing = replace(discount, schedule=(ScheduledItem(day("01-01"), D("0"), D("1")),))
    assert [str(item.unit_price) for item in scheduled_items(nothing)] == ["0"], "not -0"
