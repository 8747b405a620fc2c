"""Seats of a subscription: given and taken from an hour on, or put in place of a plain quantity.

Owns their rows; what a change may say is checked by `seat_rules.py`. A subscription that has seats keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.contracts.changing import balances_follow, changeable_subscription
from app.contracts.quantity_history import first_seats, histories_of
from app.contracts.quantity_rules import check_instant
from app.contracts.seat_rules import MAX_SEATS, checked_change, checked_switch
from app.contracts.tables import SeatChangeRow, SubscriptionRow
from app.core.seats import SeatChange
from app.core.subscriptions import quantity_at
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.store.ids import to_text
from app.store.unique import once


async def update_seats(
    session: AsyncSession,
    subscription_id: UUID,
    *,
    starting_at: datetime,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    add_unassigned: int = 0,
    remove_unassigned: int = 0,
    uniqueness_key: str | None = None,
    now: datetime,
) -> SubscriptionRow:
    """Give and take seats from an hour on; changes of one instant apply in the order in which they were added.

    Errors: `NotFound`, ARCHIVED, INVALID, REQUIRED, QUANTITY_NEGATIVE, NOT_HOUR_ALIGNED, INVALID_INTERVAL,
    ALREADY_FINALIZED, `Conflict`, `LimitExceeded` above 10,000 seats or 5,000 changes.
    """
    row, contract, subscription, billed = await changeable_subscription(session, subscription_id)
    if row.seats_from is None:
        raise InvalidInput(ErrorCode.INVALID, "Its quantity is a number; switch it to seats first.", path=("id",))
    before = (await histories_of(session, [row.id]))[row.id].seat_changes
    change = checked_change(
        first_seats(row), before, starting_at=starting_at, add=add, remove=remove, add_unassigned=add_unassigned,
        remove_unassigned=remove_unassigned,
    )  # fmt: skip
    check_instant(subscription, contract, billed, change.starting_at)
    if change.starting_at < row.seats_from:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"It has seats from {row.seats_from.isoformat()} on; write that instant or a later one.",
            path=("input", "startingAt"),
        )
    async with once(session, SeatChangeRow, uniqueness_key):
        session.add(_row(row, change, added=len(before) + 1, uniqueness_key=uniqueness_key, now=now))
        await session.flush()
    await balances_follow(session, contract, now=now)
    _note(session, row, change)
    return row


async def switch_to_seats(
    session: AsyncSession,
    subscription_id: UUID,
    *,
    starting_at: datetime,
    group_key: str,
    seat_ids: Sequence[str] = (),
    now: datetime,
) -> SubscriptionRow:
    """Let the quantity of a subscription be made of seats from an hour on: free ones, of which names take theirs.

    There is no way back. Errors: `NotFound`, ARCHIVED, INVALID for a quantity that is no whole number, ILLEGAL_TRANSITION
    when it has seats already or its quantity changes later, NOT_HOUR_ALIGNED, INVALID_INTERVAL, ALREADY_FINALIZED.
    """
    row, contract, subscription, billed = await changeable_subscription(session, subscription_id)
    if row.seats_from is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            "Its quantity is made of seats already; give and take those: subscriptionUpdateSeats.",
            path=("id",),
        )
    start, names = checked_switch(starting_at, group_key, seat_ids)
    check_instant(subscription, contract, billed, start)
    if any(update.starting_at > start for update in subscription.updates):
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION, "Its quantity changes later; switch after that.", path=("input", "startingAt")
        )
    quantity = quantity_at(subscription, start)
    if quantity != int(quantity) or quantity > MAX_SEATS:
        raise InvalidInput(
            ErrorCode.INVALID, f"Its quantity is {quantity}; seats are whole, at most {MAX_SEATS}.", path=("id",)
        )
    row.seats_from, row.seat_group_key, row.unassigned_seats = start, group_key, int(quantity)
    if names:
        session.add(_row(row, SeatChange(start, names), added=1, uniqueness_key=None, now=now))
    await session.flush()
    _note(session, row, SeatChange(start, names))
    return row


def _row(
    row: SubscriptionRow, change: SeatChange, *, added: int, uniqueness_key: str | None, now: datetime
) -> SeatChangeRow:
    return SeatChangeRow(
        created_at=now, subscription_id=row.id, starting_at=change.starting_at, add=list(change.add),
        remove=list(change.remove), unassigned=change.unassigned, added=added, uniqueness_key=uniqueness_key,
    )  # fmt: skip


def _note(session: AsyncSession, row: SubscriptionRow, change: SeatChange) -> None:
    note_change(
        session, "contract", row.contract_id,
        after={
            "subscription": to_text("subscription", row.id), "startingAt": change.starting_at.isoformat(),
            "addSeatIds": list(change.add), "removeSeatIds": list(change.remove), "unassigned": change.unassigned,
        },
    )  # fmt: skip
