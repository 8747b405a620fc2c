"""Reversed outcomes of an invoice that is made again: what the new one asks for too much goes back in place of what went before.

Owns that each is measured and rated anew, since prices, terms and usage may be others than those of the void invoice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core import ledger, money
from app.core.grants import SegmentKey
from app.errors import InvalidInput
from app.grants import canceling, reading, tables, transfers
from app.invoices import reversal_entries, reversal_rating, reversal_statements, reversal_states, reversals
from app.invoices.tables import Invoice, OutcomeReversal
from app.store.arrays import among
from app.usage import service


async def give_again(session: AsyncSession, invoice: Invoice, *, now: datetime) -> None:
    """Give back what an invoice that was made again asks for too much, for all that was reversed of the void ones before it.

    What later invoices have used of the refunds stays with the customer and is taken off.
    Errors: NOT_SUPPORTED where it cannot be rated, ALREADY_FINALIZED of a postpaid commit's true-up.
    """
    chain = await reversals.chain_of(session, invoice.id)
    made = await reversals.changes_of(session, chain)
    if not made:
        return
    # A later invoice that was voided meanwhile has put back what it had used.
    before = await reversals.refunds_of(session, chain)
    await canceling.cancel_rest(session, before, now=now, invoice_id=invoice.id, contract_id=invoice.contract_id)
    statement = await reversal_rating.billed(session, invoice, reversed=())
    for reversal, _ in made:
        found = await _found(session, statement, reversal, now=now)
        change, worths = ({}, ()) if found is None else (found.change, found.worths)
        await reversal_entries.give(session, reversal, invoice, change, worths, now=now)
        if found is not None and reversal.amount is None:
            await reversal_states.restate_cases(session, statement, found.event, now=now)
        statement = replace(statement, reversed=[*statement.reversed, (reversal, dict(change))])
    await _take_off_what_was_used(session, invoice, await reversals.refunds_of(session, chain), now=now)


async def _found(
    session: AsyncSession, statement: reversal_rating.Billed, reversal: OutcomeReversal, *, now: datetime
) -> reversal_statements.Found | None:
    """What the new invoice made of a reversed event; None where it bills nothing for it that could go back."""
    events = await service.EVENTS.find(session, [reversal.event_id])
    if not events:
        return None
    try:
        found = await reversal_statements.found_in(session, statement, events[0], reversal.amount, now=now)
    except InvalidInput:
        return None  # What counts it now has no money of which it could be a part.
    if found is None or any(worth.amount < money.ZERO for worth in found.worths):
        return None
    return found


async def _take_off_what_was_used(
    session: AsyncSession, invoice: Invoice, refunds: Collection[UUID], *, now: datetime
) -> None:
    """Of the refunds of an invoice take off what others have drawn from them: each from itself first, then from its unit's."""
    used = await _used(session, refunds)
    stored = await reading.grants_with_ids(session, refunds)
    left = {
        SegmentKey(item.row.id, segment.number): ledger.remaining(segment, item.movements)
        for item in stored
        for segment in item.grant.segments
    }
    units = {item.row.id: item.grant.unit for item in stored}
    taken: dict[SegmentKey, Decimal] = {}
    with money.exact():
        for grant_id, amount in used.items():
            rest = amount
            for key in sorted(left, key=lambda key: (key.grant_id != grant_id, key)):
                part = min(rest, left[key])
                if units[key.grant_id] == units[grant_id] and part > money.ZERO:
                    left[key], rest = left[key] - part, rest - part
                    taken[key] = taken.get(key, money.ZERO) + part
    for key, amount in taken.items():
        session.add(
            transfers.transfer(
                ledger.TransferKind.CANCELED, key, -amount, other=transfers.CANCELED, at=now, now=now, invoice_id=invoice.id,
                contract_id=invoice.contract_id, reason="Used already, before the invoice was made again.",
            )
        )  # fmt: skip
    await session.flush()


async def _used(session: AsyncSession, refunds: Collection[UUID]) -> dict[UUID, Decimal]:
    """What invoices that count have drawn from some credits."""
    rows = await session.scalars(
        select(tables.TransferRow)
        .where(among(col(tables.TransferRow.grant_id), refunds))
        .order_by(col(tables.TransferRow.id))
    )
    used = dict.fromkeys(sorted(refunds), money.ZERO)
    with money.exact():
        for row in rows:
            if row.target.startswith(transfers.INVOICE):
                used[row.grant_id] += row.amount
            elif row.source.startswith(transfers.INVOICE):
                used[row.grant_id] -= row.amount
    return used
