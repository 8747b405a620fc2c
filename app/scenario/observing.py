"""What a scenario may ask: invoices as they stand, their breakdowns, balances, and what was metered.

Owns the queries, with `breakdowns.py`, `metering.py` and `marketplace.py`. Everything is read the way the API reads it: drafts are
rated now, final invoices are rows. How an answer is spelled is left to `spelling.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.money import canonical
from app.invoices.books import line_of
from app.invoices.drafts import open_statements, rate
from app.invoices.service import unrated_to_json
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.scenario.breakdowns import breakdown
from app.scenario.marketplace import metered
from app.scenario.metering import usage
from app.scenario.spelling import head, lines_of, spell_instant, with_unrated
from app.scenario.world import Json, World


async def answer(world: World, query: Json, *, at: datetime) -> Any:
    """The result of one query."""
    match query["what"]:
        case "metered":
            return await metered(world, query["provider"])
        case "breakdown":
            return await breakdown(world, query, at=at)
        case "usage":
            return await usage(world, query)
        case "balances":
            return []  # Whatever declares a balance is refused by the reader, so a customer has none.
        case _:
            found = await _invoices(world, query, at=at)
            wanted = {key: query[key] for key in ("type", "status", "ref") if key in query}
            return [item for item in found if all(item[key] == wanted[key] for key in wanted)]


async def _invoices(world: World, query: Json, *, at: datetime) -> list[Json]:
    async with world.store.transaction() as session:
        statement = select(Contract)
        if "contract" in query:
            statement = statement.where(Contract.id == world.contracts[query["contract"]])
        if "customer" in query:
            statement = statement.where(Contract.customer_id == world.customers[query["customer"]])
        contracts = (await session.execute(statement)).scalars().all()
        drafts = [await _draft(session, world, item) for item in await open_statements(session, contracts, now=at)]
        rows = await session.execute(
            select(Invoice).where(col(Invoice.contract_id).in_([contract.id for contract in contracts]))
        )
        final = [await _final(session, world, row) for row in rows.scalars()]
    return sorted(drafts + final, key=lambda item: (world.places[item["contract"]], item["starting_at"], item["type"]))


async def _draft(session: AsyncSession, world: World, statement: Any) -> Json:
    rated = await rate(session, statement)
    subtotal = canonical(rated.draft.subtotal)
    return with_unrated(
        {
            **head(
                world,
                statement.contract.id,
                starting_at=statement.period.starting_at,
                ending_before=statement.period.ending_before,
            ),
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
    return with_unrated(
        {
            **head(world, invoice.contract_id, starting_at=invoice.starting_at, ending_before=invoice.ending_before),
            "status": "FINALIZED",
            "issued_at": spell_instant(invoice.issued_at),
            "unit": invoice.currency,
            "subtotal": canonical(invoice.subtotal),
            "total": canonical(invoice.total),
            "lines": lines_of(world, [line_of(row) for row in lines.scalars()]),
        },
        world,
        inputs.unrated,
    )
