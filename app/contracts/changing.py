"""Finds subscriptions and charges for a change.

Owns the way to their rows: a change of a subscription takes the customer's lock first and meets the row as it is now, with what
final invoices carry of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.fees import fees_of
from app.contracts.reading import changeable_contract
from app.contracts.recurring_children import make_children
from app.contracts.tables import Contract, ScheduledChargeRow, SubscriptionRow
from app.core.fees import BilledItem, Subscription
from app.errors import ErrorCode, InvalidState, NotFound
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


async def changeable_charge(
    session: AsyncSession, contract: Contract, charge_id: UUID, *, path: Path
) -> ScheduledChargeRow:
    """A scheduled charge of a contract whose customer's lock is held. Errors: `NotFound`, ARCHIVED."""
    row = await session.get(ScheduledChargeRow, charge_id)
    if row is None or row.contract_id != contract.id:
        raise NotFound("Scheduled charge", to_text("scheduled_charge", charge_id), path=path)
    if row.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, "The scheduled charge is archived; add another one.", path=path, conflicting=row
        )
    return row


async def balances_follow(session: AsyncSession, contract: Contract, *, now: datetime) -> None:
    """Let balances that follow a subscription of the contract have what a change of its quantity brings by now."""
    await make_children(session, [contract], now=now)
