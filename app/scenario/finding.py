"""Finds the invoice that a scenario names by its reference.

Owns the way back from a reference to an id; a draft has one too.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.errors import NotFound
from app.invoices.finding import running_contracts
from app.invoices.open import open_statements
from app.invoices.tables import Invoice
from app.scenario.references import draft_ref, final_ref
from app.scenario.world import World


async def invoice_of(session: AsyncSession, world: World, reference: str, *, now: datetime) -> UUID:
    """The id of a final invoice or a draft. Errors: `NotFound`."""
    for invoice in (await session.execute(select(Invoice).order_by(col(Invoice.number)))).scalars().all():
        if await final_ref(session, world, invoice) == reference:
            return invoice.id
    for statement in await open_statements(session, await running_contracts(session), now=now):
        if draft_ref(world, statement) == reference:
            return statement.id
    raise NotFound("Invoice", reference)
