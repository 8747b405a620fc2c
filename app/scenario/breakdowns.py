"""The breakdown of a statement, as a scenario asks for it.

Owns the way from a contract and a start to the final invoice or the draft. The windows are made by the invoices slice.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import select

from app.clock import parse_instant
from app.contracts.tables import Contract
from app.core.breakdown import WindowSize
from app.core.invoice import InvoiceType
from app.invoices.breakdowns import break_down_invoice
from app.invoices.drafts import RatedStatement, rate
from app.invoices.open import open_statements
from app.invoices.standing import IS_REGENERATED
from app.invoices.tables import Invoice
from app.scenario.spelling import spell_window
from app.scenario.world import Json, World


async def breakdown(world: World, query: Json, *, at: datetime) -> list[Json]:
    """The windows in which something is, between `from` and `to` where they are given."""
    starting_at = parse_instant(query["starting_at"])
    size = WindowSize(query.get("window", "DAY"))
    async with world.store.transaction() as session:
        contract = await session.get_one(Contract, world.contracts[query["contract"]])
        final = await session.execute(
            select(Invoice).where(
                Invoice.contract_id == contract.id,
                Invoice.starting_at == starting_at,
                Invoice.type == InvoiceType.USAGE,
                ~IS_REGENERATED,
            )
        )
        invoice: Invoice | RatedStatement | None = final.scalar_one_or_none()
        if invoice is None:
            drafts = await open_statements(session, [contract], now=at)
            wanted = (InvoiceType.USAGE, starting_at)
            invoice = await rate(session, next(one for one in drafts if (one.type, one.period.starting_at) == wanted))
        windows = await break_down_invoice(session, invoice, size=size)
    return [
        spell_window(world, window)
        for window in windows
        if "from" not in query or window.period.starting_at >= parse_instant(query["from"])
        if "to" not in query or window.period.starting_at < parse_instant(query["to"])
    ]
