"""Recurring commits and credits: which children there are, for how long, and for how much."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.money import canonical
from app.core.period import HOUR, Frequency, Period, StatementDay, StatementSchedule
from app.core.recurring import Child, GrantProration, RecurringGrant, children
from tests.core.agreements import day

D = Decimal
MONTHLY = StatementSchedule()
YEAR = Period(day("01-01"), day("12-31"))


def spelled(found: list[Child]) -> list[str]:
    return [
        f"{child.number}: {child.access.starting_at:%m-%d}..{child.access.ending_before:%m-%d} "
        + canonical(child.access_amount)
        + ("" if child.invoice_amount is None else f" for {canonical(child.invoice_amount)}")
        for child in found
    ]


def made(recurring: RecurringGrant, *, contract: Period = YEAR, by: str = "12-31") -> list[str]:
    return spelled(list(children(recurring, MONTHLY, contract=contract, begun_by=day(by))))


@pytest.mark.parametrize(
    ("proration", "amounts"),
    [
        (GrantProration.NONE, ["100", "100", "100"]),
        (GrantProration.FIRST, ["67.741935483871", "100", "100"]),
        (GrantProration.LAST, ["100", "100", "48.387096774194"]),
        (GrantProration.FIRST_AND_LAST, ["67.741935483871", "100", "48.387096774194"]),
    ],
)
def test_the_four_prorations(proration: GrantProration, amounts: list[str]) -> None:
    """The worked example of semantics 5.9: 100 a month from January 11 to March 16, statements on the first."""
    recurring = RecurringGrant(Period(day("01-11"), day("03-16")), D(100), proration=proration)
    dates = ["1: 01-11..02-01", "2: 02-01..03-01", "3: 03-01..03-16"]
    assert made(recurring) == [f"{date} {amount}" for date, amount in zip(dates, amounts, strict=True)]


def test_an_own_cadence_begins_with_a_whole_period() -> None:
    recurring = RecurringGrant(
        Period(day("01-11"), day("03-16")), D(100), frequency=Frequency.MONTHLY, proration=GrantProration.LAST
    )
    assert made(recurring) == ["1: 01-11..02-11 100", "2: 02-11..03-11 100", "3: 03-11..03-16 16.129032258065"]


def test_a_contract_that_begins_in_mid_month_cuts_the_first_child() -> None:
    contract = Period(day("01-11"), day("12-31"))
    assert made(RecurringGrant(contract, D(100)), contract=contract, by="02-01") == [
        "1: 01-11..02-01 67.741935483871",
        "2: 02-01..03-01 100",
    ]


def test_what_is_paid_is_cut_like_what_may_be_used() -> None:
    recurring = RecurringGrant(Period(day("01-17")), D(100), D(80))
    assert made(recurring, by="01-31") == ["1: 01-17..02-01 48.387096774194 for 38.709677419355"]


def test_children_of_several_periods_overlap_and_end_with_the_contract() -> None:
    recurring = RecurringGrant(Period(day("01-01"), day("02-15")), D(50), duration=2, proration=GrantProration.NONE)
    assert made(recurring, contract=Period(day("01-01"), day("03-20"))) == ["1: 01-01..03-01 50", "2: 02-01..03-20 50"]


def test_only_periods_that_began_have_children() -> None:
    recurring = RecurringGrant(Period(day("01-01")), D(50))
    assert made(recurring, by="01-31T23:00:00") == ["1: 01-01..02-01 50"]
    assert made(recurring, contract=Period(day("01-01"), day("02-01")), by="06-01") == ["1: 01-01..02-01 50"]
    assert made(RecurringGrant(Period(day("12-31")), D(50))) == []


def test_a_child_is_usable_for_a_period_at_least() -> None:
    with pytest.raises(ValueError, match="at least one period"):
        RecurringGrant(YEAR, D(1), duration=0)


hours = st.integers(0, 3 * 365 * 24).map(lambda number: day("01-01") + number * HOUR)
schedules = st.builds(
    StatementSchedule, st.sampled_from([item for item in Frequency if item is not Frequency.SEMI_ANNUAL]),
    st.sampled_from([StatementDay.FIRST_OF_MONTH, StatementDay.CONTRACT_START]),
)  # fmt: skip
stretches = st.tuples(hours, st.integers(1, 2 * 365 * 24)).map(lambda part: Period(part[0], part[0] + part[1] * HOUR))


@st.composite
def agreements(draw: st.DrawFn) -> tuple[RecurringGrant, StatementSchedule, Period]:
    """A recurring commit of at most 1000, its statements, and a contract that it meets."""
    recurring = RecurringGrant(
        draw(stretches), draw(st.decimals(1, 1000, places=2)), draw(st.none() | st.decimals(1, 1000, places=2)),
        frequency=draw(st.none() | st.sampled_from(Frequency)), duration=draw(st.integers(1, 4)),
        proration=draw(st.sampled_from(GrantProration)),
    )  # fmt: skip
    contract = draw(stretches)
    assume(recurring.period.intersect(contract) is not None)
    return recurring, draw(schedules), contract


def of_all(agreement: tuple[RecurringGrant, StatementSchedule, Period]) -> list[Child]:
    recurring, schedule, contract = agreement
    assert contract.ending_before is not None
    return list(children(recurring, schedule, contract=contract, begun_by=contract.ending_before))


@given(agreements())
def test_each_child_ends_where_the_one_after_its_duration_begins(
    agreement: tuple[RecurringGrant, StatementSchedule, Period],
) -> None:
    """Children of one period meet, those of several overlap by all but one; the first begins with the term."""
    recurring, _, contract = agreement
    found, term = of_all(agreement), recurring.period.intersect(contract)
    assert term is not None
    assert contract.ending_before is not None
    assert [child.number for child in found] == list(range(1, len(found) + 1))
    assert found[0].access.starting_at == term.starting_at
    for child, later in zip(found, found[recurring.duration :], strict=False):
        assert child.access.ending_before == later.access.starting_at
    for child in found:
        assert contract.intersect(child.access) == child.access
    ends = (found[-1].access.ending_before, term.ending_before)
    assert None not in ends
    assert ends[0] == ends[1] if recurring.duration == 1 else ends[0] >= ends[1]  # type: ignore[operator]


@given(agreements())
def test_only_the_first_and_the_last_amount_are_cut(
    agreement: tuple[RecurringGrant, StatementSchedule, Period],
) -> None:
    """Without proration every amount is whole; with it nothing is more than whole, and all between stay whole."""
    recurring, schedule, contract = agreement
    found, full = of_all(agreement), recurring.access_amount
    whole = of_all((replace(recurring, proration=GrantProration.NONE), schedule, contract))
    assert [child.access for child in found] == [child.access for child in whole]
    assert {(child.access_amount, child.invoice_amount) for child in whole} == {(full, recurring.invoice_amount)}
    assert all(child.access_amount == full for child in found[1:-1])
    assert all(D(0) < child.access_amount <= full for child in found)
    assert found[0].access_amount + found[-1].access_amount <= 2 * full
    if recurring.proration is GrantProration.FIRST and len(found) > 1:
        assert found[-1].access_amount == full
    if recurring.proration is GrantProration.LAST and len(found) > 1:
        assert found[0].access_amount == full
    for child in found:
        assert (child.invoice_amount is None) is (recurring.invoice_amount is None)
        assert recurring.invoice_amount is None or D(0) < (child.invoice_amount or D(0)) <= recurring.invoice_amount


@given(agreements(), hours)
def test_children_that_are_there_never_change(
    agreement: tuple[RecurringGrant, StatementSchedule, Period], by: datetime
) -> None:
    """Asked earlier there are fewer, and the same: those whose period had begun by then."""
    recurring, schedule, contract = agreement
    early = list(children(recurring, schedule, contract=contract, begun_by=by))
    assert early == [child for child in of_all(agreement) if child.access.starting_at <= by]
