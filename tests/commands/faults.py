"""Ten faults that only an administrator of the database can plant, and whether a recomputation finds each of them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.invoices.recomputing import Outcome, page_after, recompute
from app.runtime import DATABASE
from app.store import embedded
from app.store.engine import Store

ONE_LINE = "invoice_id = :id and position = (select min(position) from invoice_lines where invoice_id = :id)"
FAULTS = {
    "amount": f"update invoice_lines set amount = amount + 0.01 where {ONE_LINE}",
    "quantity": f"update invoice_lines set quantity = quantity + 1 where {ONE_LINE}",
    "unit_price": f"update invoice_lines set unit_price = unit_price * 2 + 1 where {ONE_LINE}",
    "line": f"delete from invoice_lines where {ONE_LINE}",
    "total": "update invoices set total = total + 1 where id = :id",
    "subtotal": "update invoices set subtotal = subtotal - 0.5 where id = :id",
    "content_hash": "update invoices set content_hash = md5('x') where id = :id",
    "inputs.digest": """update invoice_inputs set terms = terms || jsonb_build_object('grace_hours', 99) where invoice_id = :id""",
    "inputs.unrated": "update invoice_inputs set unrated = '[{}]' where invoice_id = :id",
    "inputs": "delete from invoice_inputs where invoice_id = :id",
}
"""What a recomputation says is different -> the fault."""


async def missed_faults(folder: Path) -> list[str]:
    """Plant each alone in some invoice of a deployment's own database, and take it back; those that are not found there."""
    cluster = embedded.start(folder, durable=False)
    try:
        store = await Store(cluster.url(DATABASE), max_connections=2).open()
        async with store.transaction() as session:
            rows = await session.execute(
                text(
                    "select invoice_id from invoice_lines where type = 'usage' group by 1 having sum(amount) > 0 order by 1"
                )
            )
            invoices = list(rows.scalars())
        missed: list[str] = []
        for place, (part, statement) in enumerate(FAULTS.items()):
            identifier = invoices[place % len(invoices)]
            async with store.transaction() as session:
                for table in ("invoices", "invoice_lines", "invoice_inputs"):
                    await session.execute(text(f"alter table {table} disable trigger user"))
                await session.execute(text(statement), {"id": identifier})
                found = await _different(session)
                await session.rollback()
            if list(found) != [identifier] or part not in found[identifier]:
                missed.append(part)
        await store.close()
        return missed
    finally:
        cluster.stop()


async def _different(session: AsyncSession) -> dict[object, set[str]]:
    """What is different in each invoice that is not as computed."""
    found: dict[object, set[str]] = {}
    page = await page_after(session, None)
    while page:
        for item in await recompute(session, page):
            if item.outcome is not Outcome.SAME:
                found[item.invoice_id] = {one.part for one in item.differences}
        page = await page_after(session, page[-1])
    return found
