"""What invoices are called in a scenario.

Owns the references: by contract, type and start, or by the commit that a true-up bills.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.core.lines import LineType
from app.invoices.books import period_of
from app.invoices.statements import Statement
from app.invoices.tables import Invoice, InvoiceLine, InvoiceRegeneration
from app.scenario.spelling import head
from app.scenario.world import Json, World


def draft_head(world: World, statement: Statement) -> Json:
    """What names an open invoice."""
    named = head(
        world, statement.contract.id, kind=statement.type, period=statement.period, unit=statement.currency,
        ordinal=statement.ordinal, own_unit=statement.contract.currency,
    )  # fmt: skip
    return named if statement.grant_id is None else _of_commit(world, named, statement.grant_id)


async def final_head(session: AsyncSession, world: World, invoice: Invoice) -> Json:
    """What names a final invoice: with its number among those of the same reference, from `#2` on."""
    named = await _first_head(session, world, invoice)
    earlier = await session.execute(
        select(func.count(col(Invoice.id))).where(
            Invoice.contract_id == invoice.contract_id, Invoice.type == invoice.type,
            Invoice.starting_at == invoice.starting_at, Invoice.currency == invoice.currency,
            Invoice.number < invoice.number,
            *([Invoice.ordinal == invoice.ordinal] if invoice.type == InvoiceType.TRUEUP else []),
        )
    )  # fmt: skip
    place = earlier.scalar_one()
    source = await session.execute(
        select(Invoice)
        .join(InvoiceRegeneration, col(InvoiceRegeneration.source_id) == Invoice.id)
        .where(InvoiceRegeneration.invoice_id == invoice.id)
    )
    first = source.scalar_one_or_none()
    if place:
        named = {**named, "ref": f"{named['ref']}#{place + 1}"}
    return named if first is None else {**named, "regenerated_from": await final_ref(session, world, first)}


async def _first_head(session: AsyncSession, world: World, invoice: Invoice) -> Json:
    contract = await session.get_one(Contract, invoice.contract_id)
    named = head(
        world, invoice.contract_id, kind=invoice.type, period=period_of(invoice), unit=invoice.currency,
        ordinal=0, own_unit=contract.currency,
    )  # fmt: skip
    if invoice.type != InvoiceType.TRUEUP:
        return named
    of_commit = select(InvoiceLine.grant_id).where(
        InvoiceLine.invoice_id == invoice.id, InvoiceLine.type == LineType.TRUEUP
    )
    return _of_commit(world, named, (await session.execute(of_commit)).scalar_one())


def _of_commit(world: World, named: Json, grant_id: UUID | None) -> Json:
    """A true-up is called by its commit."""
    return {**named, "ref": f"{named['contract']}/TRUEUP/{world.name_of('grants', grant_id)}"}


def draft_ref(world: World, statement: Statement) -> str:
    """The reference of an open invoice."""
    return str(draft_head(world, statement)["ref"])


async def final_ref(session: AsyncSession, world: World, invoice: Invoice) -> str:
    """The reference of a final invoice."""
    return str((await final_head(session, world, invoice))["ref"])
