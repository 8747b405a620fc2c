"""Makes consolidated invoices final, each with the last of its constituents, and keeps the two sides together after that.

Owns when one is ready, and what may become of constituents (semantics 4.10). The caller holds the lock of the parent's
customer, which everybody takes who makes a statement of the family final.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.errors import ErrorCode, InvalidState
from app.failpoints import reached
from app.invoices import drafts, numbers, putting_together
from app.invoices.consolidating import open_consolidated, parents_that_consolidate
from app.invoices.statements import Statement
from app.invoices.tables import IS_VOID, Invoice, InvoiceConstituent
from app.store.locks import lock_named

DELIVERIES = "deliveries"
"""The lock under which is decided what is sent by itself."""


class Write(Protocol):
    """Stores rated invoices as final ones."""

    async def __call__(
        self, session: AsyncSession, rated: list[drafts.RatedStatement], /, *, now: datetime
    ) -> list[Invoice]: ...


async def finalize_ready(
    session: AsyncSession, contracts: Sequence[Contract], write: Write, *, as_of: datetime, now: datetime
) -> list[Invoice]:
    """Put together what is due by `as_of` and all of whose statements are final, of the families of some contracts."""
    parents = await parents_that_consolidate(session, contracts)
    if not parents or not await _ready(session, parents, as_of=as_of):
        return []
    # Nobody decides meanwhile to send one of the statements by itself.
    await lock_named(session, DELIVERIES)
    rated = [
        await putting_together.rated_together(session, item, {}) for item in await _ready(session, parents, as_of=as_of)
    ]
    reached("invoices.consolidating")
    made = await write(session, rated, now=now)
    reached("invoices.consolidated")
    return made


async def _ready(session: AsyncSession, parents: Sequence[Contract], *, as_of: datetime) -> list[Statement]:
    return [
        item
        for item in await open_consolidated(session, parents, now=as_of)
        if item.due_at <= as_of and all(part.is_final for part in item.constituents)
    ]


async def refuse_constituent(session: AsyncSession, invoice: Invoice) -> None:
    """Refuse to void a statement that went out with others. Error: ILLEGAL_TRANSITION naming the consolidated invoice."""
    whole = (await consolidated_with(session, [invoice.id])).get(invoice.id)
    if whole is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"It went out with invoice {numbers.number_text(whole.number)}; void that one first, then this one, make this one again "
            "and then the other.",
            path=("id",),
            conflicting=whole,
        )


async def consolidated_with(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
    """The consolidated invoice that counts and in which each of these is, by the id of the constituent."""
    rows = await session.execute(
        select(InvoiceConstituent.invoice_id, Invoice)
        .join(Invoice, col(Invoice.id) == InvoiceConstituent.consolidated_id)
        .where(col(InvoiceConstituent.invoice_id).in_(invoice_ids), ~IS_VOID)
    )
    return {invoice_id: invoice for invoice_id, invoice in rows}  # noqa: C416


FAMILIES = text("""
with recursive earlier(invoice_id, source_id) as (
  select id, id from invoices where id = any(:ids)
  union all
  select e.invoice_id, r.source_id from earlier e join invoice_regenerations r on r.invoice_id = e.source_id
)
select distinct e.invoice_id from earlier e join invoice_constituents c on c.invoice_id = e.source_id
""")


async def parts_of_any(session: AsyncSession, invoice_ids: Collection[UUID]) -> set[UUID]:
    """Those of the invoices that are, or were made again of, a constituent of a consolidated invoice, void or not.

    They are never sent by themselves: what was sent with others is sent with others again.
    """
    rows = await session.execute(FAMILIES, {"ids": list(invoice_ids)})
    return set(rows.scalars())
