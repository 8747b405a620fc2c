"""Seats: a quantity that is made of names, and of places that nobody has yet.

Owns what adding and removing seats does to them (semantics 4.6). The quantity that follows is billed like any other, in
`subscriptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.core.fees import QuantityUpdate


@dataclass(frozen=True, slots=True)
class Seats:
    """Who has a seat, in the order of being given one, and how many are free. All of them are paid for."""

    assigned: tuple[str, ...] = ()
    unassigned: int = 0

    def __post_init__(self) -> None:
        if self.unassigned < 0:
            raise ValueError(f"{-self.unassigned} more seats would be taken away than are unassigned")

    @property
    def quantity(self) -> int:
        """How many seats there are."""
        return len(self.assigned) + self.unassigned


@dataclass(frozen=True, slots=True)
class SeatChange:
    """Seats given and taken from an hour on; `unassigned` counts free seats added, or taken away when negative."""

    starting_at: datetime
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    unassigned: int = 0


def changed(seats: Seats, change: SeatChange) -> Seats:
    """The seats after a change: names go first, then come; free seats last.

    A removed name takes its seat along; one that has no seat changes nothing, and neither does adding one that has. An
    added name takes a free seat, and only without one the quantity rises. ValueError when more free seats are taken away
    than there are.
    """
    staying = tuple(name for name in seats.assigned if name not in change.remove)
    coming = tuple(name for name in dict.fromkeys(change.add) if name not in staying)
    filled = min(seats.unassigned, len(coming))
    return Seats(staying + coming, seats.unassigned - filled + change.unassigned)


def seat_steps(first: Seats, changes: Sequence[SeatChange]) -> tuple[tuple[datetime, Seats], ...]:
    """The seats from each instant of change on, in order of time; changes of one instant apply as they were added."""
    found: dict[datetime, Seats] = {}
    seats = first
    for change in sorted(changes, key=lambda change: change.starting_at):
        seats = changed(seats, change)
        found[change.starting_at] = seats
    return tuple(found.items())


def quantity_updates(first: Seats, changes: Sequence[SeatChange]) -> tuple[QuantityUpdate, ...]:
    """The quantities that follow from changes of seats."""
    return tuple(QuantityUpdate(at, Decimal(seats.quantity)) for at, seats in seat_steps(first, changes))


def seats_at(first: Seats, changes: Sequence[SeatChange], at: datetime) -> Seats:
    """The seats that hold at an instant."""
    steps = seat_steps(first, changes)
    return next((seats for start, seats in reversed(steps) if start <= at), first)
