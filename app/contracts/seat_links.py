"""Subscriptions that recurring commits and credits follow.

Owns the refusals of such a link, and how many balances it begins a period with.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.new_recurring import SubscriptionLink
from app.contracts.tables import Contract, SubscriptionRow
from app.core.seat_balances import Allocation
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store.ids import to_text


async def seats_of(session: AsyncSession, contract: Contract, link: SubscriptionLink, *, path: Path) -> int:
    """How many balances a period begins with; the subscription is one of this contract, with seats where each has one."""
    subscription = await session.get(SubscriptionRow, link.subscription_id)
    if subscription is None or subscription.contract_id != contract.id:
        raise NotFound("Subscription", to_text("subscription", link.subscription_id), path=(*path, "temporaryId"))
    if link.allocation is Allocation.POOLED:
        return 1
    if subscription.seats_from is None:
        raise InvalidInput(
            ErrorCode.INVALID,
            "Only a subscription whose quantity is made of seats has a balance for each of them.",
            path=(*path, "allocation"),
        )
    return len(subscription.seat_ids)
