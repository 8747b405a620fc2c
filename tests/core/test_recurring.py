"""Recurring commits and credits: which children there are, for how long, and for how much."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.core.money import canonical
from app.core.period import Frequency, Period, StatementSchedule
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
