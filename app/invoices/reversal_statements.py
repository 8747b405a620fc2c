"""Which final statements billed an event, and what each asked for too much.

Owns the refusals that follow from what was billed; what was made of the event is measured and rated elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.contracts import tables, terms
from app.core import money, period, quantities, reversals
from app.core.invoice import InvoiceType
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.invoices import books, frozen_items, reversal_measuring, reversal_rating
from app.invoices.tables import IS_VOID, Invoice
from app.store.ids import to_text
from app.usage import events

ID, AMOUNT = ("input", "transactionId"), ("input", "amount")


class Found(NamedTuple):
    """A final statement that billed the event, how its usage is without it, and what it asked for too much."""

    statement: reversal_rating.Billed
    event: events.FoundEvent
    change: quantities.Usage
    worths: Sequence[reversals.Worth]

    @property
    def invoice(self) -> Invoice:
        """The statement as an invoice."""
        return self.statement.invoice


async def billed_by(
    session: AsyncSession, customer_id: UUID, event: events.FoundEvent, amount: Decimal | None, *, now: datetime
) -> list[Found]:
    """The final statements that billed an event, and what each asked for too much: by the event, or a part of its money.

    Errors: NOT_FINALIZED, ALREADY_VOID, NOT_RATED, NOTHING_TO_REVERSE, INVALID for the amount.
    """
    at = event.event.timestamp
    covering = (
        Invoice.customer_id == customer_id, Invoice.type == InvoiceType.USAGE, col(Invoice.starting_at) <= at,
        col(Invoice.ending_before) > at,
    )  # fmt: skip
    rows = await session.execute(
        select(Invoice, IS_VOID).where(*covering).order_by(col(Invoice.starting_at), col(Invoice.id))
    )
    known = [(row[0], row[1]) for row in rows]
    await _refuse_draft(session, customer_id, event, {invoice.contract_id for invoice, _ in known})
    found = [
        await found_in(session, await reversal_rating.billed(session, invoice), event, amount, now=now)
        for invoice, is_void in known
        if not is_void
    ]
    billed = [item for item in found if item is not None]
    if not billed:
        for invoice, is_void in reversed(known):
            if is_void:
                raise InvalidState(
                    ErrorCode.ALREADY_VOID,
                    f"{to_text('invoice', invoice.id)}, which covers the event, is void: nobody pays for it. Take the event "
                    "back with usageVoid before you make that invoice again.",
                    path=ID, conflicting=invoice,
                )  # fmt: skip
        raise not_rated("No final statement counts it. It may have come after its statement was final; see lateUsage.")
    if any(worth.amount < money.ZERO for item in billed for worth in item.worths):
        raise InvalidState(
            ErrorCode.NOTHING_TO_REVERSE,
            f"Without {event.transaction_id[:80]!r} somebody would have paid more: it took something off, or made others "
            "cheaper. Grant a credit for what you want to give.",
            path=ID,
        )
    return billed


async def _refuse_draft(session: AsyncSession, customer_id: UUID, event: events.FoundEvent, done: set[UUID]) -> None:
    """Refuse while a contract whose statement of that time is open counts the event: there it is simply taken back."""
    at, contract = event.event.timestamp, tables.Contract
    rows = await session.scalars(
        select(contract)
        .where(
            contract.customer_id == customer_id,
            col(contract.archived_at).is_(None),
            col(contract.starting_at) <= at,
            or_(col(contract.ending_before).is_(None), col(contract.ending_before) > at),
            col(contract.id).not_in(done),
        )
        .order_by(col(contract.id))
    )
    hour = period.floor_hour(at)
    for row in rows.all():
        counted = await reversal_measuring.counted_by(
            session, await terms.terms_of(session, row), period.Period(hour, hour + period.HOUR), event
        )
        if counted:
            raise InvalidState(
                ErrorCode.NOT_FINALIZED,
                f"The statement of {to_text('contract', row.id)} that counts the event is still a draft. Take the event "
                "back with usageVoid, or reverse it when that statement is final.",
                path=ID, conflicting=row,
            )  # fmt: skip


async def found_in(
    session: AsyncSession,
    statement: reversal_rating.Billed,
    event: events.FoundEvent,
    amount: Decimal | None,
    *,
    now: datetime,
) -> Found | None:
    """What one final statement made of the event; None when it did not count it. Error: INVALID for the amount."""
    invoice = statement.invoice
    if event.batch > statement.frozen.ingest_batch or frozen_items.IMPORTED in statement.frozen.terms:
        return None
    covered = books.period_of(invoice)
    counted = await reversal_measuring.counted_by(session, statement.terms, covered, event)
    if not counted:
        return None
    change = await reversal_measuring.change_without(
        session, statement.terms, covered, event, counted, up_to_batch=statement.frozen.ingest_batch,
        gone=[one.event_id for one, _ in statement.reversed if one.amount is None], now=now,
    )  # fmt: skip
    if amount is not None:
        part = reversal_measuring.change_of_part(change, counted, event, amount)
        if part is None:
            raise InvalidInput(
                ErrorCode.INVALID,
                f"amount is {money.canonical(amount)}; write a part of the money that the event says, above 0. Leave it out "
                "to reverse the event whole.",
                path=AMOUNT,
            )
        change = part
    if not change and all(metric.query is not None for _, metric in counted):
        return None  # Which events an SQL metric counts shows in what it comes to alone.
    # What changes nothing now, such as one of two that say the same, may do so when the other is reversed as well.
    try:
        return Found(statement, event, change, statement.worths(change))
    except reversal_rating.NotRecomputable as error:
        raise InvalidState(
            ErrorCode.NOT_SUPPORTED,
            f"{to_text('invoice', invoice.id)} cannot be rated without the event: {error}. Grant a credit instead.",
            path=ID,
            conflicting=invoice,
        ) from error


def not_rated(message: str) -> InvalidState:
    """The refusal of an event that no final statement that counts has billed."""
    return InvalidState(ErrorCode.NOT_RATED, message, path=ID)
