"""Thresholds of contracts as they stand: what is watched, what of it is awaited, and which are to be looked at.

Owns those readings, and the request to look at a contract. Rules and changes are in `threshold_rules.py` and
`thresholds.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.catalog.tables import RateCard
from app.catalog.units import conversions_of
from app.contracts.tables import Contract, ThresholdRow
from app.core.thresholds import ThresholdKind
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.jobs.service import enqueue

EVALUATE_JOB = "thresholds.evaluate"


async def thresholds_of(session: AsyncSession, contract_id: UUID) -> list[ThresholdRow]:
    """What a contract watches, SPEND after BALANCE, whether it is enabled or not."""
    rows = await session.execute(
        select(ThresholdRow)
        .where(ThresholdRow.contract_id == contract_id, col(ThresholdRow.removed_at).is_(None))
        .order_by(col(ThresholdRow.kind))
    )
    return list(rows.scalars())


async def threshold_of(session: AsyncSession, contract_id: UUID, kind: ThresholdKind) -> ThresholdRow | None:
    """What a contract watches of one kind."""
    return next((row for row in await thresholds_of(session, contract_id) if row.kind == kind), None)


async def rate_of(session: AsyncSession, contract: Contract, unit: str) -> Decimal | None:
    """What one of a pricing unit is worth in the contract's currency; None when its card does not convert it."""
    card = None if contract.rate_card_id is None else await session.get_one(RateCard, contract.rate_card_id)
    return None if card is None else dict(conversions_of(card)).get(unit)


async def ask_to_evaluate(session: AsyncSession, contract_id: UUID) -> None:
    """Ask for the thresholds of a contract to be looked at, soon and once."""
    text = str(contract_id)
    await enqueue(session, EVALUATE_JOB, {"contract": text}, once=f"{EVALUATE_JOB}:{text}")


async def watched_contracts(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """The contracts with a threshold to evaluate, by id."""
    rows = await session.execute(
        select(Contract.id)
        .join(ThresholdRow, col(ThresholdRow.contract_id) == Contract.id)
        .where(
            col(ThresholdRow.is_enabled),
            col(ThresholdRow.removed_at).is_(None),
            col(Contract.archived_at).is_(None),
            Contract.starting_at <= now,
            or_(col(Contract.ending_before).is_(None), col(Contract.ending_before) > now),
        )
        .distinct()
        .order_by(col(Contract.id))
    )
    return list(rows.scalars())


async def is_awaited(session: AsyncSession, row: ThresholdRow) -> bool:
    """Whether a commit that a threshold of this kind bought for the contract, also an earlier one, waits for its payment."""
    found = await session.execute(
        select(GrantRow.id)
        .join(ThresholdRow, col(ThresholdRow.id) == GrantRow.threshold_id)
        .where(ThresholdRow.contract_id == row.contract_id, ThresholdRow.kind == row.kind, IS_UNPAID)
        .limit(1)
    )
    return found.scalar_one_or_none() is not None
