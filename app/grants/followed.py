"""Contracts that were followed by another, and what that means for their commits and credits.

Owns reading the transitions; the contracts slice writes them. A successor that is archived follows nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract, TransitionRow
from app.core.rollover import FutureTrueUps, TransitionType
from app.grants.tables import GrantRow
from app.store.arrays import among


async def live_transitions(session: AsyncSession, *, from_ids: Sequence[UUID]) -> dict[UUID, TransitionRow]:
    """How each of these contracts was followed, by its id."""
    rows = await session.execute(
        select(TransitionRow)
        .join(Contract, col(Contract.id) == TransitionRow.contract_id)
        .where(among(col(TransitionRow.from_id), from_ids), col(Contract.archived_at).is_(None))
    )
    return {row.from_id: row for row in rows.scalars()}


async def unsettled(session: AsyncSession, customer_ids: Collection[UUID], *, now: datetime) -> list[TransitionRow]:
    """The renewals of some customers that took effect by now and whose books are still to be posted, oldest first."""
    rows = await session.execute(
        select(TransitionRow)
        .join(Contract, col(Contract.id) == TransitionRow.contract_id)
        .where(
            among(col(Contract.customer_id), customer_ids),
            col(Contract.archived_at).is_(None),
            TransitionRow.type == TransitionType.RENEWAL,
            TransitionRow.at <= now,
            col(TransitionRow.settled_at).is_(None),
        )
        .order_by(col(TransitionRow.at), col(TransitionRow.id))
    )
    return list(rows.scalars())


async def without_true_ups(session: AsyncSession, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts whose successor dropped their true-ups."""
    followed = await live_transitions(session, from_ids=contract_ids)
    return {contract_id for contract_id, row in followed.items() if row.true_ups == FutureTrueUps.REMOVE}


async def with_rollovers(session: AsyncSession, grant_ids: Collection[UUID]) -> set[UUID]:
    """These balances and all that rolled over from them, at any number of renewals."""
    found, fresh = set(grant_ids), set(grant_ids)
    while fresh:
        rows = await session.scalars(select(GrantRow.id).where(among(col(GrantRow.rolled_from_id), fresh)))
        fresh = set(rows) - found
        found |= fresh
    return found


async def closings(session: AsyncSession, rows: Sequence[GrantRow]) -> dict[UUID, datetime]:
    """When balances are over before their segments are: archived, or their contract was followed by another.

    A child of a recurring commit or credit never outlives its contract (golden decision 32).
    """
    contract_ids = {row.contract_id for row in rows if row.contract_id is not None}
    followed = await session.execute(
        select(TransitionRow.from_id, TransitionRow.at)
        .join(Contract, col(Contract.id) == TransitionRow.contract_id)
        .where(among(col(TransitionRow.from_id), contract_ids), col(Contract.archived_at).is_(None))
    )
    starts: dict[UUID | None, datetime | None] = {}
    starts.update((contract_id, at) for contract_id, at in followed)
    ends: dict[UUID | None, datetime | None] = {}
    if any(row.recurring_id is not None for row in rows):
        found = await session.execute(
            select(Contract.id, Contract.ending_before).where(among(col(Contract.id), contract_ids))
        )
        ends.update((contract_id, end) for contract_id, end in found)
    closes: dict[UUID, datetime] = {}
    for row in rows:
        limits = [row.archived_at, starts.get(row.contract_id)]
        if row.recurring_id is not None:
            limits.append(ends.get(row.contract_id))
        known = [limit.astimezone(UTC) for limit in limits if limit is not None]
        if known:
            closes[row.id] = min(known)
    return closes
