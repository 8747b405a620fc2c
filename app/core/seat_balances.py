"""Recurring commits and credits whose amount follows the quantity of a subscription.

Owns what an increase within a period brings, pooled or seat by seat (semantics 5.9). A decrease counts from the next
period on, so within one only what goes beyond the highest quantity so far brings anything. What an increase brings is
never asked for on an invoice: the payment of a child is fixed when its period begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.core.money import exact
from app.core.period import Period
from app.core.recurring import Child, part_left
from app.core.seats import SeatChange, Seats, seat_steps, seats_at


class Allocation(StrEnum):
    """Whose a balance is: everybody's, or that of one seat."""

    POOLED = "POOLED"
    INDIVIDUAL = "INDIVIDUAL"


@dataclass(frozen=True, slots=True)
class SeatChild:
    """The balance of one seat in one period: usable by usage that names the seat."""

    seat_id: str
    access: Period
    access_amount: Decimal
    invoice_amount: Decimal | None


def pooled_adjustments(
    child: Child,
    steps: Sequence[tuple[datetime, Decimal]],
    *,
    initial: Decimal,
    unit_amount: Decimal,
    prorate: bool,
    until: datetime,
) -> Mapping[datetime, Decimal]:
    """What increases within a child's period bring, by the instant at which each takes effect, up to `until`.

    `initial` is the quantity where the period begins, `steps` those from each instant of change on; `unit_amount` is
    what one unit brings in a whole period. With `prorate` an increase brings its share of the time that is left.
    """
    found: dict[datetime, Decimal] = {}
    highest = initial
    for at, quantity in steps:
        if not (at > child.period.starting_at and child.period.contains(at) and at <= until) or quantity <= highest:
            continue
        with exact():
            amount = (quantity - highest) * unit_amount
        found[at] = part_left(child, at, amount) if prorate else amount
        highest = quantity
    return found


def seat_children(
    child: Child, first: Seats, changes: Sequence[SeatChange], *, unit_amount: Decimal, prorate: bool, until: datetime
) -> tuple[SeatChild, ...]:
    """The balances of seats in a child's period: of those assigned where it begins, then of each assigned later.

    `child` says what one seat has from the beginning on. A seat has one balance in a period, however often it is given
    and taken. Seats that nobody has bring nothing.
    """
    start = child.period.starting_at
    names = seats_at(first, changes, start).assigned
    found = {name: SeatChild(name, child.access, child.access_amount, child.invoice_amount) for name in names}
    for at, seats in seat_steps(first, changes):
        if not (at > start and child.period.contains(at) and at <= until):
            continue
        amount = part_left(child, at, unit_amount) if prorate else unit_amount
        for name in seats.assigned:
            found.setdefault(name, SeatChild(name, Period(at, child.access.ending_before), amount, None))
    return tuple(found.values())
