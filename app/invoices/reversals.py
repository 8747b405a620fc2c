"""What is known of reversals: by which statement an outcome had been billed, and what went back where.

Owns reading it, and what a void of such a statement does: what went back is taken back too, and given again when the
invoice is made again, since that bills the same events. Reversals are made in `reversing.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.grants import SegmentKey
from app.core.ledger import TransferKind
from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
from app.core.quantities import UsageKey, usage_from_json
from app.grants.canceling import cancel_rest
from app.grants.tables import GrantRow
from app.grants.transfers import CANCELED, transfer
from app.invoices.tables import Invoice, InvoiceRegeneration, OutcomeReversal, ReversalEntry, ReversedStatement
from app.store.arrays import among

Change = dict[UsageKey, list[HourQuantity]]


async def reversal_of(session: AsyncSession, event_id: UUID) -> OutcomeReversal | None:
    """The reversal of an event by the digest of its transaction id."""
    found = await session.execute(select(OutcomeReversal).where(OutcomeReversal.event_id == event_id))
    return found.scalar_one_or_none()


async def chain_of(session: AsyncSession, invoice_id: UUID) -> list[UUID]:
    """An invoice and the void ones in whose place it stands, itself first."""
    found = [invoice_id]
    while True:
        source = await session.scalar(
            select(InvoiceRegeneration.source_id).where(InvoiceRegeneration.invoice_id == found[-1])
        )
        if source is None:
            return found
        found.append(source)


async def changes_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> list[tuple[OutcomeReversal, Change]]:
    """The reversals of what these invoices had billed, and how each changes the usage; in the order of their making."""
    rows = await session.execute(
        select(OutcomeReversal, ReversedStatement.usage)
        .join(ReversedStatement, col(ReversedStatement.reversal_id) == OutcomeReversal.id)
        .where(col(ReversedStatement.invoice_id).in_(invoice_ids))
        .order_by(col(OutcomeReversal.id))
    )
    return [(reversal, usage_from_json(form)) for reversal, form in rows]


async def entries_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> Sequence[ReversalEntry]:
    """What went back of these invoices."""
    rows = await session.execute(
        select(ReversalEntry)
        .where(col(ReversalEntry.invoice_id).in_(invoice_ids))
        .order_by(col(ReversalEntry.reversal_id), col(ReversalEntry.invoice_id), col(ReversalEntry.position))
    )
    return rows.scalars().all()


async def receivers(session: AsyncSession, invoice_id: UUID) -> set[UUID]:
    """The balances to which something of an invoice went back, or of the void ones before it."""
    entries = await entries_of(session, await chain_of(session, invoice_id))
    return {entry.grant_id for entry in entries}


async def take_back(session: AsyncSession, invoice: Invoice, *, now: datetime) -> None:
    """Take back what went back of an invoice that is voided: of a credit what is left, from a commit what it was given."""
    given: dict[SegmentKey, list[ReversalEntry]] = {}
    entries = await entries_of(session, await chain_of(session, invoice.id))
    rows = await session.scalars(
        select(GrantRow.id).where(
            among(col(GrantRow.id), {entry.grant_id for entry in entries}), col(GrantRow.is_refund)
        )
    )
    credits = set(rows)
    for entry in entries:
        if entry.grant_id not in credits:
            given.setdefault(SegmentKey(entry.grant_id, entry.segment), []).append(entry)
    await cancel_rest(session, credits, now=now, invoice_id=invoice.id, contract_id=invoice.contract_id)
    for key, entries in given.items():
        with exact():
            total = sum((entry.amount for entry in entries), ZERO)
        session.add(
            transfer(
                TransferKind.CANCELED, key, -total, other=CANCELED, at=now, now=now, invoice_id=invoice.id,
                contract_id=invoice.contract_id,
            )
        )  # fmt: skip
    await session.flush()
