"""Who collects the payment of an invoice for which a commit waits.

Owns that reading; it decides whether the invoice is sent at all, and how it is collected.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.grants import PaymentGate
from app.grants.tables import GrantRow
from app.invoices import tables


async def gates_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, PaymentGate]:
    """Who collects the payment of these invoices, where a commit waits for it."""
    rows = await session.execute(
        select(tables.Invoice.id, GrantRow.gate)
        .join(GrantRow, col(GrantRow.id) == tables.Invoice.purchase_of)
        .where(col(tables.Invoice.id).in_(invoice_ids), col(GrantRow.gate).is_not(None))
    )
    return {invoice_id: PaymentGate(gate) for invoice_id, gate in rows if gate is not None}
