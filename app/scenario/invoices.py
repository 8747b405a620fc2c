"""The invoices of a scenario as they stand: drafts are rated now, final ones are rows.

Owns which invoices an answer lists, and their order. How they are spelled is left to `spelling.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.money import canonical
from app.invoices.balances import Books
from app.invoices.books import line_of
from app.invoices.drafts import RatedStatement
from app.invoices.inputs import unrated_to_json
from app.invoices.open import open_statements
from app.invoices.standing import voids_of
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.scenario.references import draft_head, final_head
from app.scenario.spelling import lines_of, spell_instant, with_unrated
from app.scenario.world import Json, World


async def invoices(world: World, query: Json, *, at: datetime) -> list[Json]:
    """The invoices of a contract or a customer, by contract, start and type."""
    async with world.store.transaction() as session:
        statement = select(Contract)
        if "contract" in query:
            statement = statement.where(Contract.id == world.contracts[query["contract"]])
        if "customer" in query:
            statement = statement.where(Contract.customer_id == world.customers[query["customer"]])
        contracts = (await session.execute(statement)).scalars().all()
        books = Books(session, now=at)
        open_ones = await open_statements(session, contracts, now=at)
        rated = [await books.rate(item) for item in open_ones]
        drafts = [_draft(world, item) for item in rated if not item.is_nothing]
        rows = await session.execute(
            select(Invoice).where(col(Invoice.contract_id).in_([contract.id for contract in contracts]))
        )
        final = [await _final(session, world, row) for row in rows.scalars()]
    places = world.places
    return sorted(drafts + final, key=lambda item: (places[item["contract"]], _start(item), item["type"], item["ref"]))


def _start(item: Json) -> str:
    return item["date"] if "date" in item else item["starting_at"]


def _draft(world: World, rated: RatedStatement) -> Json:
    statement = rated.statement
    subtotal = canonical(rated.draft.subtotal)
    named = draft_head(world, statement)
    return with_unrated(
        {
            **named,
            "status": "DRAFT",
            "due_at": spell_instant(statement.due_at),
            "unit": rated.draft.unit.code,
            "subtotal": subtotal,
            "total": subtotal,
            "lines": lines_of(world, rated.draft.lines),
        },
        world,
        [unrated_to_json(item) for item in rated.unrated],
    )


async def _final(session: AsyncSession, world: World, invoice: Invoice) -> Json:
    lines = await session.execute(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
    )
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    named = await final_head(session, world, invoice)
    return with_unrated(
        {
            **named,
            "status": "VOID" if await voids_of(session, [invoice.id]) else "FINALIZED",
            "issued_at": spell_instant(invoice.issued_at),
            "unit": invoice.currency,
            "subtotal": canonical(invoice.subtotal),
            "total": canonical(invoice.total),
            "lines": lines_of(world, [line_of(row) for row in lines.scalars()]),
        },
        world,
        inputs.unrated,
    )
