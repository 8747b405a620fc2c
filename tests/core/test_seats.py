"""Seats: names fill free seats before they cost more, and take their seat along when they go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.seats import SeatChange, Seats, changed, quantity_updates, seat_steps, seats_at
from tests.core.agreements import D, day

TEN = day("01-10")


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (Seats(("ann",), 0), {"add": ("bob",)}, Seats(("ann", "bob"), 0)),
        (Seats(("ann",), 2), {"add": ("bob",)}, Seats(("ann", "bob"), 1)),
        (Seats(("ann",), 1), {"add": ("bob", "cy")}, Seats(("ann", "bob", "cy"), 0)),
        (Seats(("ann",), 1), {"add": ("ann", "bob", "bob")}, Seats(("ann", "bob"), 0)),
        (Seats(("ann", "bob"), 0), {"remove": ("ann",)}, Seats(("bob",), 0)),
        (Seats(("ann",), 1), {"remove": ("nobody",)}, Seats(("ann",), 1)),
        # Freed without being lost, and handed on.
        (Seats(("ann",), 0), {"remove": ("ann",), "unassigned": 1}, Seats((), 1)),
        (Seats(("ann",), 0), {"remove": ("ann",), "add": ("bob",)}, Seats(("bob",), 0)),
        # Free seats come last, so the name needs one of its own.
        (Seats((), 0), {"add": ("ann",), "unassigned": 1}, Seats(("ann",), 1)),
        (Seats((), 3), {"unassigned": -2}, Seats((), 1)),
    ],
)
def test_a_change_of_seats(before: Seats, change: dict[str, Any], after: Seats) -> None:
    assert changed(before, SeatChange(TEN, **change)) == after


def test_more_free_seats_are_taken_away_than_there_are() -> None:
    with pytest.raises(ValueError, match="1 more seats"):
        changed(Seats(("ann",), 1), SeatChange(TEN, unassigned=-2))


def test_the_quantity_follows_in_order_of_time() -> None:
    changes = [
        SeatChange(day("01-20"), remove=("ann",)), SeatChange(TEN, add=("bob",)), SeatChange(TEN, add=("cy",), unassigned=2),
    ]  # fmt: skip
    assert seat_steps(Seats(("ann",), 1), changes) == (
        (TEN, Seats(("ann", "bob", "cy"), 2)), (day("01-20"), Seats(("bob", "cy"), 2)),
    )  # fmt: skip
    assert [(item.starting_at, item.quantity) for item in quantity_updates(Seats(("ann",), 1), changes)] == [
        (TEN, D(5)), (day("01-20"), D(4)),
    ]  # fmt: skip


def test_the_seats_at_an_instant() -> None:
    changes = [SeatChange(day("01-20"), remove=("ann",)), SeatChange(TEN, add=("bob",))]
    found = [seats_at(Seats(("ann",)), changes, day(at)).assigned for at in ("01-09", "01-10", "01-19", "01-20")]
    assert found == [("ann",), ("ann", "bob"), ("ann", "bob"), ("bob",)]


names = st.lists(st.sampled_from("abcde"), max_size=4).map(tuple)


@given(assigned=st.sets(st.sampled_from("abcde")), free=st.integers(0, 3), add=names, remove=names)
def test_nobody_has_two_seats_and_none_gets_lost(assigned: set[str], free: int, add: Any, remove: Any) -> None:
    before = Seats(tuple(sorted(assigned)), free)
    after = changed(before, SeatChange(TEN, add=add, remove=remove))
    assert len(set(after.assigned)) == len(after.assigned)
    assert set(after.assigned) == (assigned - set(remove)) | set(add)
    staying = len(assigned - set(remove))
    assert after.quantity == max(staying + free, len(after.assigned))
