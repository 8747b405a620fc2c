"""What a scenario may ask: invoices as they stand, and what was metered.

Owns the form of the answers. Everything is read the way the API reads it: drafts are rated now, final invoices are
rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.money import canonical
from app.core.period import HOUR
from app.core.rating import Line
from app.delivery.states import SlotStatus
from app.delivery.tables import MeteringSlot
from app.invoices.books import line_of
from app.invoices.drafts import open_statements, rate
from app.invoices.service import unrated_to_json
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.scenario.world import Json, World


async def answer(world: World, query: Json, *, at: datetime) -> Any:
    """The result of one query."""
    if query["what"] == "metered":
        return await _metered(world, query["provider"])
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
    return _with_unrated(
        {
            **_head(world, statement.contract.id, statement.period.starting_at, statement.period.ending_before),
            "status": "DRAFT",
            "due_at": _instant(statement.due_at),
            "unit": rated.draft.unit.code,
            "subtotal": subtotal,
            "total": subtotal,
            "lines": _lines(world, rated.draft.lines),
        },
        world,
        [unrated_to_json(item) for item in rated.unrated],
    )


async def _final(session: AsyncSession, world: World, invoice: Invoice) -> Json:
    lines = await session.execute(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
    )
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    return _with_unrated(
        {
            **_head(world, invoice.contract_id, invoice.starting_at, invoice.ending_before),
            "status": "FINALIZED",
            "issued_at": _instant(invoice.issued_at),
            "unit": invoice.currency,
            "subtotal": canonical(invoice.subtotal),
            "total": canonical(invoice.total),
            "lines": _lines(world, [line_of(row) for row in lines.scalars()]),
        },
        world,
        inputs.unrated,
    )


def _head(world: World, contract_id: UUID, starting_at: datetime, ending_before: datetime) -> Json:
    contract = world.name_of("contracts", contract_id)
    return {
        "ref": f"{contract}/USAGE/{_instant(starting_at)}",
        "contract": contract,
        "type": "USAGE",
        "starting_at": _instant(starting_at),
        "ending_before": _instant(ending_before),
    }


def _lines(world: World, lines: Sequence[Line]) -> list[Json]:
    return [_line(world, line) for line in lines]


def _line(world: World, line: Line) -> Json:
    shown: Json = {
        "type": line.type,
        "unit": line.unit,
        "product": world.name_of("products", line.product_id),
        "pricing": dict(line.pricing),
        "presentation": dict(line.presentation),
        "tier": None if line.tier is None else line.tier.level,
        "unit_price": _decimal(line.unit_price),
        "quantity": _decimal(line.quantity),
        "amount": canonical(line.amount),
        "starting_at": None if line.starting_at is None else _instant(line.starting_at),
        "ending_before": None if line.ending_before is None else _instant(line.ending_before),
        "in_total": None if line.in_total else False,
    }
    return {key: value for key, value in shown.items() if value not in (None, {})}


def _with_unrated(invoice: Json, world: World, unrated: Sequence[Mapping[str, Any]]) -> Json:
    if unrated:
        invoice["unrated"] = [
            {**item, "product": world.name_of("products", UUID(str(item["product"])))} for item in unrated
        ]
    return invoice


async def _metered(world: World, provider: str) -> list[Json]:
    async with world.store.transaction() as session:
        rows = await session.execute(
            select(MeteringSlot)
            .where(
                MeteringSlot.billing_configuration_id == world.providers[provider],
                MeteringSlot.status == SlotStatus.ACCEPTED,
            )
            .order_by(col(MeteringSlot.hour), col(MeteringSlot.id))
        )
        slots = rows.scalars().all()
    cumulative, found = 0, list[Json]()
    for slot in slots:
        cents = int(slot.quantity)
        cumulative += cents
        # A slot is sent at the full hour that ends it.
        found.append({"hour": _instant(slot.hour + HOUR), "cents": cents, "cumulative": cumulative})
    return found


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
