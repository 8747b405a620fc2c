"""Recurring balances that follow a subscription: what a period begins with, and what increases within it bring."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import may_pay
from app.core.money import canonical
from app.core.period import Period, StatementSchedule
from app.core.recurring import Child, GrantProration, RecurringGrant, children
from app.core.seat_balances import pooled_adjustments, seat_children
from app.core.seats import SeatChange, Seats
from tests.core.agreements import CALLS, day
from tests.core.balances import grant

D = Decimal
APRIL = Period(day("04-01"), day("05-01"))
YEAR = Period(day("01-01"), day("12-31"))
TERM = RecurringGrant(period=APRIL, access_amount=D(30), invoice_amount=D(20))


def april(units: str = "1", term: RecurringGrant = TERM) -> Child:
    [child] = children(term, StatementSchedule(), contract=YEAR, begun_by=day("04-30"), units_at=lambda _: D(units))
    return child


def test_amounts_are_those_of_the_quantity_where_the_period_begins() -> None:
    child = april("10")
    assert (child.access_amount, child.invoice_amount, child.period, child.whole) == (300, 200, APRIL, APRIL)
    late = RecurringGrant(
        period=Period(day("04-11"), day("05-01")), access_amount=D(30), proration=GrantProration.FIRST
    )
    assert april("10", late).access_amount == 200, "20 of 30 days"


@pytest.mark.parametrize(
    ("steps", "prorate", "until", "found"),
    [
        pytest.param([("04-16", 15)], True, "04-30", {"04-16": "75"}, id="half of the month is left"),
        pytest.param([("04-16", 15)], False, "04-30", {"04-16": "150"}, id="the whole amount"),
        pytest.param([("04-16", 15)], True, "04-15", {}, id="still to come"),
        pytest.param([("04-16", 15)], True, "04-16", {"04-16": "75"}, id="from its instant on"),
        pytest.param([("04-01", 15), ("05-01", 20)], False, "12-31", {}, id="its start and end belong to others"),
        pytest.param([("04-04", 8), ("04-16", 10)], False, "04-30", {}, id="a decrease is not taken back"),
        pytest.param([("04-04", 8), ("04-16", 12)], False, "04-30", {"04-16": "60"}, id="beyond the highest so far"),
        pytest.param([("04-04", 12), ("04-16", 13)], True, "04-30", {"04-04": "54", "04-16": "15"}, id="step by step"),
        pytest.param([("03-20", 99), ("06-01", 99)], False, "12-31", {}, id="other periods"),
    ],
)  # fmt: skip
def test_increases_of_a_pooled_balance(
    steps: list[tuple[str, int]], prorate: bool, until: str, found: dict[str, str]
) -> None:
    made = pooled_adjustments(
        april("10"), [(day(at), D(quantity)) for at, quantity in steps], initial=D(10), unit_amount=D(30),
        prorate=prorate, until=day(until),
    )  # fmt: skip
    assert {f"{at:%m-%d}": canonical(amount) for at, amount in made.items()} == found


@given(st.lists(st.tuples(st.integers(2, 29), st.integers(0, 50)), max_size=8, unique_by=lambda step: step[0]))
def test_without_proration_a_period_ends_with_its_highest_quantity(changes: list[tuple[int, int]]) -> None:
    steps = [(day(f"04-{at:02}"), D(quantity)) for at, quantity in sorted(changes)]
    made = pooled_adjustments(april("10"), steps, initial=D(10), unit_amount=D(30), prorate=False, until=day("04-30"))
    highest = max([D(10), *(quantity for _, quantity in steps)])
    assert sum(made.values(), D(300)) == highest * 30
    assert all(amount > 0 for amount in made.values())


@pytest.mark.parametrize(
    ("changes", "prorate", "found"),
    [
        pytest.param([], True, ["ann 04-01 30 for 20", "bob 04-01 30 for 20"], id="those with a seat, not free ones"),
        pytest.param(
            [SeatChange(day("04-16"), add=("cid",))], True,
            ["ann 04-01 30 for 20", "bob 04-01 30 for 20", "cid 04-16 15"], id="a free seat is given to somebody",
        ),
        pytest.param(
            [SeatChange(day("04-16"), add=("cid",))], False,
            ["ann 04-01 30 for 20", "bob 04-01 30 for 20", "cid 04-16 30"], id="the whole amount",
        ),
        pytest.param(
            [SeatChange(day("04-04"), remove=("bob",)), SeatChange(day("04-16"), add=("bob",))], True,
            ["ann 04-01 30 for 20", "bob 04-01 30 for 20"], id="one balance in a period, however often",
        ),
        pytest.param([SeatChange(day("03-04"), remove=("ann",))], True, ["bob 04-01 30 for 20"], id="gone before"),
        pytest.param([SeatChange(day("04-30T13:00:00"), add=("cid",))], True, ["ann 04-01 30 for 20", "bob 04-01 30 for 20"], id="still to come"),
    ],
)  # fmt: skip
def test_balances_of_seats(changes: list[SeatChange], prorate: bool, found: list[str]) -> None:
    made = seat_children(
        april(), Seats(("ann", "bob"), unassigned=1), changes, unit_amount=D(30), prorate=prorate, until=day("04-30T12:00:00")
    )  # fmt: skip
    assert [
        f"{seat.seat_id} {seat.access.starting_at:%m-%d} {canonical(seat.access_amount)}"
        + ("" if seat.invoice_amount is None else f" for {canonical(seat.invoice_amount)}")
        for seat in made
    ] == found
    assert {seat.access.ending_before for seat in made} == {APRIL.ending_before}


@pytest.mark.parametrize(
    ("presentation", "pays"),
    [((("seat", "ann"),), True), ((("seat", "bob"),), False), ((("seat", None),), False), ((), False)],
)
def test_a_seats_balance_pays_for_usage_that_names_it(
    presentation: tuple[tuple[str, str | None], ...], pays: bool
) -> None:
    assert may_pay(grant(1, seat=("seat", "ann")), CALLS, (), presentation) is pays
    assert may_pay(grant(1, seat=("seat", "ann"), tags=("other",)), CALLS, (), presentation) is False
    assert may_pay(grant(1, seat=("seat", "ann")), None) is False, "what has no product names no seat"
