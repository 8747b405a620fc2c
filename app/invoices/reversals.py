"""What is known of reversals: by which statement an outcome had been billed, and what went back where.

Owns reading it, and what a void of such a statement does: what went back is taken back too. Reversals are made in
`reversing.py`, and given again in `reversals_again.py` when the invoice is made again, since that bills the same events.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core import ledger, money
from app.core.grants import SegmentKey
from app.core.metering import HourQuantity
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


async def changes_of(session: AsyncSession, chain: Sequence[UUID]) -> list[tuple[OutcomeReversal, Change]]:
    """The reversals of what an invoice had billed, or void ones before it, and how each changes the usage; in their order.

    An invoice that was made again says it anew; where it does not, the one before it says it still.
    """
    rows = await session.execute(
        select(OutcomeReversal, ReversedStatement)
        .join(ReversedStatement, col(ReversedStatement.reversal_id) == OutcomeReversal.id)
        .where(col(ReversedStatement.invoice_id).in_(chain))
    )
    newest = {
        reversal.id: (reversal, usage_from_json(statement.usage))
        for reversal, statement in sorted(rows, key=lambda row: -chain.index(row[1].invoice_id))
    }
    return [found for _, found in sorted(newest.items())]


async def entries_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> Sequence[ReversalEntry]:
    """What went back of these invoices."""
    rows = await session.execute(
        select(ReversalEntry)
        .where(col(ReversalEntry.invoice_id).in_(invoice_ids))
        .order_by(col(ReversalEntry.reversal_id), col(ReversalEntry.invoice_id), col(ReversalEntry.position))
    )
    return rows.scalars().all()


async def refunds_of(session: AsyncSession, chain: Sequence[UUID]) -> set[UUID]:
    """The credits that were made for what went back of an invoice, or of void ones before it."""
    entries = await entries_of(session, chain)
    rows = await session.scalars(
        select(GrantRow.id).where(
            among(col(GrantRow.id), {entry.grant_id for entry in entries}), col(GrantRow.is_refund)
        )
    )
    return set(rows)


async def given_to_payers(session: AsyncSession, chain: Sequence[UUID]) -> dict[tuple[UUID, int], Decimal]:
    """What went back of an invoice to the balances themselves that had paid it, by balance and segment."""
    entries, refunds = await entries_of(session, chain), await refunds_of(session, chain)
    rows = await session.execute(
        select(ReversedStatement.reversal_id, ReversedStatement.invoice_id).where(
            col(ReversedStatement.invoice_id).in_(chain)
        )
    )
    newest: dict[UUID, UUID] = dict(sorted(rows, key=lambda row: -chain.index(row[1])))
    given: dict[tuple[UUID, int], Decimal] = {}
    with money.exact():
        for entry in entries:
            if entry.grant_id not in refunds and newest[entry.reversal_id] == entry.invoice_id:
                key = (entry.grant_id, entry.segment)
                given[key] = given.get(key, money.ZERO) + entry.amount
    return given


async def take_back(session: AsyncSession, invoice: Invoice, *, now: datetime) -> None:
    """Take back what went back of an invoice that is voided: of a credit what is left, from a commit what it was given."""
    chain = await chain_of(session, invoice.id)
    credits = await refunds_of(session, chain)
    await cancel_rest(session, credits, now=now, invoice_id=invoice.id, contract_id=invoice.contract_id)
    for key, total in (await given_to_payers(session, chain)).items():
        session.add(
            transfer(
                ledger.TransferKind.CANCELED, SegmentKey(*key), -total, other=CANCELED, at=now, now=now, invoice_id=invoice.id,
                contract_id=invoice.contract_id,
            )
        )  # fmt: skip
    await session.flush()
