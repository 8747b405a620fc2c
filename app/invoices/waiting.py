"""Invoices that must wait: true-ups for the statements that count towards them, statements for payments under way.

Owns those questions. They are asked under the customer's lock, just before invoices become final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract, ThresholdRow
from app.core.invoice import InvoiceType
from app.core.period import Period
from app.core.thresholds import ThresholdKind
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow, SegmentRow
from app.invoices.open import open_statements
from app.invoices.statements import Statement
from app.store.arrays import among


async def waiting_true_ups(session: AsyncSession, batch: Sequence[Statement], *, now: datetime) -> set[UUID]:
    """Those of the batch that some open statement outside of it still counts towards."""
    true_ups = [item for item in batch if item.type is InvoiceType.TRUEUP]
    if not true_ups:
        return set()
    served = {contract_id for item in true_ups for contract_id in item.waits_for}
    contracts = await session.execute(select(Contract).where(among(col(Contract.id), served)))
    coming = {item.id for item in batch}
    still_open = [
        item
        for item in await open_statements(session, contracts.scalars().all(), now=now)
        if item.type is InvoiceType.USAGE and item.id not in coming
    ]
    return {
        true_up.id
        for true_up in true_ups
        for item in still_open
        if item.contract.id in true_up.waits_for and item.period.starting_at < true_up.waits_for[item.contract.id]
    }


async def waiting_payments(session: AsyncSession, batch: Sequence[Statement]) -> set[UUID]:
    """Those of the batch whose usage is being paid for: a SPEND threshold bought a commit for it that is not paid yet.

    Once the payment is made the commit covers the usage; billed before, it would be paid twice.
    """
    statements = [item for item in batch if item.type is InvoiceType.USAGE]
    rows = await session.execute(
        select(GrantRow.contract_id, SegmentRow.starting_at, SegmentRow.ending_before)
        .join(SegmentRow, col(SegmentRow.grant_id) == GrantRow.id)
        .join(ThresholdRow, col(ThresholdRow.id) == GrantRow.threshold_id)
        .where(
            among(col(GrantRow.contract_id), [item.contract.id for item in statements]),
            IS_UNPAID,
            ThresholdRow.kind == ThresholdKind.SPEND,
        )
    )
    awaited = [(contract_id, Period(start, end)) for contract_id, start, end in rows]
    return {
        item.id
        for item in statements
        for contract_id, period in awaited
        if item.contract.id == contract_id and item.period.intersect(period)
    }
