"""The breakdown of a statement, as a scenario asks for it.

Owns the way from a contract and a start to the final invoice or the draft, and the proof that windows add up. They are made
by the invoices slice.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from app.clock import parse_instant
from app.contracts.tables import Contract
from app.core.breakdown import WindowSize
from app.core.invoice import InvoiceType
from app.core.money import ZERO, canonical, exact
from app.invoices.balances import Books
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
        pairs = await break_down_invoice(session, invoice, size=size)
    # A scenario's breakdown follows the usage (golden decision 41).
    windows = [pair.with_late for pair in pairs if pair.with_late.lines]
    return [
        spell_window(world, window)
        for window in windows
        if "from" not in query or window.period.starting_at >= parse_instant(query["from"])
        if "to" not in query or window.period.starting_at < parse_instant(query["to"])
    ]


async def windows_that_do_not_add_up(world: World, *, at: datetime) -> list[str]:
    """Proves the breakdowns of every invoice and draft that a scenario leaves behind: windows add up to the total."""
    problems: list[str] = []
    async with world.store.transaction() as session:
        final = (await session.execute(select(Invoice).order_by(col(Invoice.id)))).scalars().all()
        contracts = (await session.execute(select(Contract))).scalars().all()
        books = Books(session, now=at)
        drafts = [await books.rate(item) for item in await open_statements(session, contracts, now=at)]
        for invoice in (*final, *(draft for draft in drafts if not draft.is_nothing)):
            total = invoice.draft.subtotal if isinstance(invoice, RatedStatement) else invoice.total
            for size in WindowSize:
                windows = await break_down_invoice(session, invoice, size=size)
                with exact():
                    found = sum((window.billed.total for window in windows), ZERO)
                if found != total:
                    problems.append(f"{size} windows of {invoice.id}: {canonical(found)}, not {canonical(total)}")
    return problems
