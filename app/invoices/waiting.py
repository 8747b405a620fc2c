"""True-ups that must wait: what is missing of a commit is known when all statements that count towards it are final.

Owns that question. It is asked under the customer's lock, just before invoices become final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.invoices.open import open_statements
from app.invoices.statements import Statement


async def waiting_true_ups(session: AsyncSession, batch: Sequence[Statement], *, now: datetime) -> set[UUID]:
    """Those of the batch that some open statement outside of it still counts towards."""
    true_ups = [item for item in batch if item.type is InvoiceType.TRUEUP]
    if not true_ups:
        return set()
    served = {contract_id for item in true_ups for contract_id in item.waits_for}
    contracts = await session.execute(select(Contract).where(col(Contract.id).in_(served)))
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
