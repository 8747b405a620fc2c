"""What seats may be: names, how many, and when they change.

Owns the refusals of semantics 4.6 about seats, each with its code. What a change does to them is settled in `core.seats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.checks import Path, at_most, distinct, hour_of, text_of, within
from app.core.seats import SeatChange, Seats, seat_steps
from app.errors import ErrorCode, InvalidInput, LimitExceeded

MAX_NAMES = 1_000
MAX_SEATS = 10_000
MAX_CHANGES = 5_000
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class NewSeats:
    """The seats with which a subscription begins; `group_key` is the property that names a seat in events."""

    group_key: str
    seat_ids: Sequence[str] = ()
    unassigned: int = 0

    @property
    def quantity(self) -> Decimal:
        """How many there are."""
        return Decimal(len(self.seat_ids) + self.unassigned)


def checked_seats(seats: NewSeats, *, path: Path) -> NewSeats:
    """A group key, names none of which comes twice, and a count."""
    text_of(seats.group_key, path=(*path, "groupKey"), longest=MAX_TEXT)
    within(seats.unassigned, low=0, high=MAX_SEATS, path=(*path, "unassigned"))
    return NewSeats(seats.group_key, checked_names(seats.seat_ids, path=(*path, "seatIds")), seats.unassigned)


def checked_names(names: Sequence[str], *, path: Path) -> tuple[str, ...]:
    """At most 1,000 names, each once."""
    at_most(names, MAX_NAMES, path=path)
    return distinct([text_of(name, path=path, longest=MAX_TEXT) for name in names], path=path)


def checked_switch(starting_at: datetime, group_key: str, seat_ids: Sequence[str]) -> tuple[datetime, tuple[str, ...]]:
    """The full hour from which there are seats, and the names that take one."""
    text_of(group_key, path=("input", "groupKey"), longest=MAX_TEXT)
    return hour_of(starting_at, path=("input", "startingAt")), checked_names(seat_ids, path=("input", "seatIds"))


def checked_change(
    first: Seats,
    before: Sequence[SeatChange],
    *,
    starting_at: datetime,
    add: Sequence[str],
    remove: Sequence[str],
    add_unassigned: int,
    remove_unassigned: int,
) -> SeatChange:
    """A change of some seats after which there are not fewer than none, nor more than 10,000 of them."""
    path = ("input",)
    at_most(range(len(before) + 1), MAX_CHANGES, path=path)
    within(add_unassigned, low=0, high=MAX_SEATS, path=(*path, "addUnassigned"))
    within(remove_unassigned, low=0, high=MAX_SEATS, path=(*path, "removeUnassigned"))
    coming, going = checked_names(add, path=(*path, "addSeatIds")), checked_names(remove, path=(*path, "removeSeatIds"))
    both = sorted(set(coming) & set(going))
    if both:
        raise InvalidInput(ErrorCode.INVALID, f"{both[0][:60]!r} is added and removed at once.", path=path)
    if not (coming or going or add_unassigned or remove_unassigned):
        raise InvalidInput(ErrorCode.REQUIRED, "Name seats to add or to remove.", path=path)
    start = hour_of(starting_at, path=(*path, "startingAt"))
    change = SeatChange(start, coming, going, add_unassigned - remove_unassigned)
    try:
        steps = seat_steps(first, (*before, change))
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.QUANTITY_NEGATIVE, f"The change is not acceptable: {error}.", path=(*path, "removeUnassigned")
        ) from error
    if max(seats.quantity for _, seats in steps) > MAX_SEATS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"A subscription has at most {MAX_SEATS} seats.", path=(*path, "addSeatIds")
        )
    return change
