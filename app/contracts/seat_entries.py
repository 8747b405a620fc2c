"""Entries that an increase of a subscription's quantity leaves in the ledgers of balances that follow it.

Owns their posting: what should be there by now less what is, so that it is safe to ask at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.fees import Subscription
from app.core.grants import SegmentKey
from app.core.ledger import TransferKind
from app.core.money import ZERO, exact
from app.core.recurring import Child
from app.core.seat_balances import pooled_adjustments
from app.core.subscriptions import quantity_at, quantity_steps
from app.grants.tables import GrantRow, TransferRow
from app.grants.transfers import ADJUSTMENT, transfer


async def post_increases(
    session: AsyncSession,
    subscription: Subscription,
    found: Sequence[tuple[GrantRow, Child]],
    *,
    prorate: bool,
    now: datetime,
) -> int:
    """Post what increases by now bring to pooled balances and is not there yet. Gives how many entries were made."""
    steps = quantity_steps(subscription.initial_quantity, subscription.updates)
    posted = await _posted(session, [grant.id for grant, _ in found])
    made = 0
    for grant, child in found:
        if grant.archived_at is not None or grant.unit_amount is None:
            continue
        expected = pooled_adjustments(
            child, steps, initial=quantity_at(subscription, child.period.starting_at), unit_amount=grant.unit_amount,
            prorate=prorate, until=now,
        )  # fmt: skip
        for at in sorted({*expected, *(at for grant_id, at in posted if grant_id == grant.id)}):
            with exact():
                missing = expected.get(at, ZERO) - posted.get((grant.id, at), ZERO)
            if missing:
                kind, key = TransferKind.SEAT_BASED_ADJUSTMENT, SegmentKey(grant.id, 0)
                session.add(
                    transfer(kind, key, missing, other=ADJUSTMENT, at=at, now=now, contract_id=grant.contract_id)
                )
                made += 1
    await session.flush()
    return made


async def _posted(session: AsyncSession, grant_ids: Sequence[UUID]) -> dict[tuple[UUID, datetime], Decimal]:
    rows = await session.execute(
        select(TransferRow).where(
            col(TransferRow.grant_id).in_(grant_ids), TransferRow.kind == TransferKind.SEAT_BASED_ADJUSTMENT
        )
    )
    found: dict[tuple[UUID, datetime], Decimal] = {}
    with exact():
        for row in rows.scalars():
            key = row.grant_id, row.at.astimezone(UTC)
            came_in = row.source == ADJUSTMENT
            found[key] = found.get(key, ZERO) + (row.amount if came_in else -row.amount)
    return found
