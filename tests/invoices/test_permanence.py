"""A final invoice never changes: the same bytes after hundreds of later changes of rates, contracts, balances and events.

What is compared are the bytes that the content hash is made of, every stored row of the invoice, and what a recomputation from
its frozen inputs says.
"""

from __future__ import annotations

import os
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.commands.checking import RULES
from app.core.invoice import canonical_content
from app.invoices.books import final_of, header_of, line_of
from app.invoices.tables import Invoice, InvoiceLine
from app.store.engine import Store
from tests.invoices.changes import DAY, Seller
from tests.invoices.recomputed import assert_all_same

CHANGES = 500 if os.environ.get("METROGRAPH_STRESS") else 50
SEEDS = 3 if os.environ.get("METROGRAPH_STRESS") else 1
KINDS = {"rate", "charge", "subscription", "balance", "event", "entry", "end", "void", "quantity"}
ROWS = """
select i.id, to_jsonb(i)::text, to_jsonb(n)::text,
  (select string_agg(to_jsonb(l)::text, '' order by l.position) from invoice_lines l where l.invoice_id = i.id)
from invoices i join invoice_inputs n on n.invoice_id = i.id
"""


async def bytes_of(store: Store) -> dict[UUID, tuple[bytes, tuple[str, ...]]]:
    """The canonical bytes of every final invoice, and all of its rows as text."""
    async with store.transaction() as session:
        rows = {row[0]: tuple(row[1:]) for row in await session.execute(text(ROWS))}
        invoices = (await session.execute(select(Invoice))).scalars().all()
        found: dict[UUID, tuple[bytes, tuple[str, ...]]] = {}
        for invoice in invoices:
            lines = await session.execute(
                select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
            )
            content = final_of(invoice, [line_of(line) for line in lines.scalars()])
            found[invoice.id] = (canonical_content(header_of(invoice), content), rows[invoice.id])
    return found


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_final_invoice_keeps_its_bytes(store: Store, seed: int) -> None:
    seller = await Seller(store, Random(seed)).open()
    for _ in range(12):
        await seller.agree()
    for _ in range(20):
        await seller.change()
    seller.now += 40 * DAY
    await seller.bill()
    before = await bytes_of(store)
    assert len(before) >= 10
    made = 0
    seller.done.clear()
    while made < CHANGES:
        made += await seller.change()
        if made % 25 == 0:
            seller.now += DAY
    assert seller.done.keys() >= (KINDS if CHANGES >= 500 else {"rate", "event", "charge"}), seller.done
    await seller.bill()
    after = await bytes_of(store)
    assert {identifier: after[identifier] for identifier in before} == before
    assert await assert_all_same(store) == len(after) >= len(before)
    async with store.transaction() as session:
        broken = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
    assert broken == []
