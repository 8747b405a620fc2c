"""Where final invoices stand: whether one is void, and what it was made again as.

Owns the derivation; rows of voids and regenerations are beside the invoices, which never change.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.invoices.tables import Invoice, InvoiceRegeneration, InvoiceVoid

IS_REGENERATED = (
    select(InvoiceRegeneration.invoice_id)
    .where(InvoiceRegeneration.source_id == Invoice.id)
    .correlate(Invoice)
    .exists()
)
"""Condition on `Invoice`: it is void and another one stands in its place."""


async def voids_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, InvoiceVoid]:
    """Those of the invoices that are void, by id."""
    found = await session.execute(select(InvoiceVoid).where(col(InvoiceVoid.invoice_id).in_(invoice_ids)))
    return {row.invoice_id: row for row in found.scalars()}


async def regenerations_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> list[InvoiceRegeneration]:
    """The links from and to these invoices."""
    found = await session.execute(
        select(InvoiceRegeneration).where(
            or_(
                col(InvoiceRegeneration.invoice_id).in_(invoice_ids),
                col(InvoiceRegeneration.source_id).in_(invoice_ids),
            )
        )
    )
    return list(found.scalars())
