"""Reads how quantities of subscriptions changed: their updates, and their seats.

Owns the way from rows to the values of `core.seats`. What follows for fees is worked out in `core.subscriptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import QuantityUpdateRow, SeatChangeRow, SubscriptionRow
from app.core.seats import SeatChange, Seats


@dataclass(slots=True)
class History:
    """Both kinds of changes of a subscription, each in the order of addition; seats come after quantities."""

    updates: list[QuantityUpdateRow] = field(default_factory=list)
    seat_changes: list[SeatChange] = field(default_factory=list)


async def histories_of(session: AsyncSession, subscription_ids: Sequence[UUID]) -> dict[UUID, History]:
    """The history of each subscription, in as many statements as for one."""
    found = {identifier: History() for identifier in subscription_ids}
    if not subscription_ids:
        return found
    updates = await session.scalars(
        select(QuantityUpdateRow)
        .where(col(QuantityUpdateRow.subscription_id).in_(subscription_ids))
        .order_by(col(QuantityUpdateRow.subscription_id), col(QuantityUpdateRow.added))
    )
    for row in updates:
        found[row.subscription_id].updates.append(row)
    changes = await session.scalars(
        select(SeatChangeRow)
        .where(col(SeatChangeRow.subscription_id).in_(subscription_ids))
        .order_by(col(SeatChangeRow.subscription_id), col(SeatChangeRow.added))
    )
    for change in changes:
        found[change.subscription_id].seat_changes.append(seat_change_of(change))
    return found


def seat_change_of(row: SeatChangeRow) -> SeatChange:
    """A change of seats as the core reads it."""
    return SeatChange(row.starting_at, tuple(row.add), tuple(row.remove), row.unassigned)


def first_seats(row: SubscriptionRow) -> Seats:
    """The seats with which a subscription began to have some."""
    return Seats(tuple(row.seat_ids), row.unassigned_seats)
