"""A consolidated invoice made again, of its constituents as they stand then.

Owns which those are; that they were voided and made again before is up to the caller.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.invoices import standing
from app.invoices.books import period_of
from app.invoices.drafts import RatedStatement
from app.invoices.putting_together import rated_together
from app.invoices.statements import Constituent, consolidated_statement
from app.invoices.tables import Invoice, InvoiceConstituent


async def made_again(session: AsyncSession, invoice: Invoice, *, now: datetime) -> RatedStatement | None:
    """A consolidated invoice of its constituents as they stand: made again themselves, or left out where they are void."""
    parent = await session.get_one(Contract, invoice.contract_id, populate_existing=True)
    rows = await session.scalars(
        select(InvoiceConstituent.invoice_id)
        .where(InvoiceConstituent.consolidated_id == invoice.id)
        .order_by(col(InvoiceConstituent.position))
    )
    constituents: list[Constituent] = []
    for identifier in rows.all():
        last = identifier
        while (link := await _link_from(session, last)) is not None:
            last = link
        if last not in await standing.voids_of(session, [last]):
            row = await session.get_one(Invoice, last)
            contract = await session.get_one(Contract, row.contract_id)
            constituents.append(Constituent(last, contract, is_final=True))
    if not constituents:
        return None
    statement = consolidated_statement(
        parent, period_of(invoice), constituents, due=now, regeneration=invoice.regeneration + 1
    )
    return await rated_together(session, statement, {})


async def _link_from(session: AsyncSession, invoice_id: UUID) -> UUID | None:
    links = await standing.regenerations_of(session, [invoice_id])
    return next((link.invoice_id for link in links if link.source_id == invoice_id), None)
