"""Finds subscriptions for a change.

Owns the way to a subscription's row: a change takes the customer's lock first and meets the row as it is now, with what
final invoices carry of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.fees import fees_of
from app.contracts.reading import changeable_contract
from app.contracts.recurring_children import make_children
from app.contracts.tables import Contract, SubscriptionRow
from app.core.fees import BilledItem, Subscription
from app.errors import NotFound
from app.store.ids import to_text


class Changeable(NamedTuple):
    """A subscription under its customer's lock, and what final invoices carry of its contract."""

    row: SubscriptionRow
    contract: Contract
    subscription: Subscription
    billed: Sequence[BilledItem]


async def changeable_subscription(session: AsyncSession, subscription_id: UUID) -> Changeable:
    """The subscription as it is now. Errors: `NotFound`, ARCHIVED."""
    row = await session.get(SubscriptionRow, subscription_id)
    if row is None:
        raise NotFound("Subscription", to_text("subscription", subscription_id), path=("id",))
    contract = await changeable_contract(session, row.contract_id)
    await session.refresh(row)
    fees = (await fees_of(session, [contract]))[contract.id]
    return Changeable(row, contract, next(item for item in fees.subscriptions if item.id == row.id), fees.billed)


async def balances_follow(session: AsyncSession, contract: Contract, *, now: datetime) -> None:
    """Let balances that follow a subscription of the contract have what a change of its quantity brings by now."""
    await make_children(session, [contract], now=now)
