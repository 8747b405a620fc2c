"""What final invoices forbid when a commit or credit is changed.

Owns the refusals of semantics 4.2 about access, each naming the invoice; those about payments are in
`payment_guards.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.core.invoice import InvoiceType
from app.core.ledger import Movement, TransferKind
from app.core.money import ZERO, exact
from app.errors import ErrorCode, InvalidState
from app.grants.editing import Edited
from app.invoices.numbers import number_text
from app.invoices.tables import IS_VOID, Invoice, InvoiceLine

TAKEN = (TransferKind.AUTOMATED_INVOICE_DEDUCTION, TransferKind.TRUEUP, TransferKind.ROLLOVER)
"""What has left a segment for good, unlike an entry by hand."""


async def check_unused(session: AsyncSession, grant_id: UUID, *, path: Path, segment: int | None = None) -> None:
    """Refuse when a final invoice names the balance, or one segment of it: BALANCE_ON_FINALIZED_INVOICE."""
    statement = (
        select(Invoice)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .where(InvoiceLine.grant_id == grant_id, ~IS_VOID)
        .order_by(col(Invoice.number))
        .limit(1)
    )
    if segment is not None:
        statement = statement.where(InvoiceLine.segment == segment)
    invoice = (await session.execute(statement)).scalar_one_or_none()
    if invoice is not None:
        what = "the balance" if segment is None else f"segment {segment} of the balance"
        raise used(f"Invoice {number_text(invoice.number)} names {what}; void it first.", invoice, path=path)


async def check_access(session: AsyncSession, found: Edited, *, path: Path) -> None:
    """Segments that paid stay, and keep at least what was taken of them.

    What was trued up, or rolled over, stays as it is. Errors: BALANCE_ON_FINALIZED_INVOICE, ILLEGAL_TRANSITION.
    """
    grant_id, segments = found.before.row.id, found.segments
    if not (segments.changed or segments.removed or segments.added):
        return
    await check_no_true_up(session, grant_id, path=path)
    for number in (*segments.changed, *segments.removed):
        if any(item.kind is TransferKind.ROLLOVER and item.segment == number for item in found.before.movements):
            raise InvalidState(
                ErrorCode.ILLEGAL_TRANSITION,
                f"Segment {number} rolled over into another contract; archive that contract first, or give a balance of its own.",
                path=path,
            )
    for number in segments.removed:
        await check_unused(session, grant_id, segment=number, path=(*path, "remove"))
    for number in segments.changed:
        taken = _taken(found.before.movements, number)
        if segments.kept[number].amount < taken:
            invoice = await _last_drawing(session, grant_id, number)
            raise used(
                f"{taken} of segment {number} was taken already; it cannot be less than that.", invoice,
                path=(*path, "update"),
            )  # fmt: skip


def _taken(movements: Sequence[Movement], segment: int) -> Decimal:
    """What a segment must hold: what was taken from it for good, less what it was given beside its amount."""
    with exact():
        own = [item for item in movements if item.segment == segment]
        out = sum((-item.amount for item in own if item.amount < ZERO and item.kind in TAKEN), ZERO)
        given = sum((item.amount for item in own if item.amount > ZERO), ZERO)
        return max(ZERO, out - given)


async def final_true_up(session: AsyncSession, grant_id: UUID) -> Invoice | None:
    """The final invoice that billed what was missing of a balance, unless it is void."""
    rows = await session.execute(
        select(Invoice)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .where(InvoiceLine.grant_id == grant_id, Invoice.type == InvoiceType.TRUEUP, ~IS_VOID)
        .order_by(col(Invoice.number), col(Invoice.id))
        .limit(1)
    )
    return rows.scalar_one_or_none()


async def check_no_true_up(session: AsyncSession, grant_id: UUID, *, path: Path) -> None:
    """What was missing of the balance is not on a final invoice. Error: BALANCE_ON_FINALIZED_INVOICE."""
    invoice = await final_true_up(session, grant_id)
    if invoice is not None:
        message = f"Invoice {number_text(invoice.number)} has billed what was missing of it; void that first."
        raise used(message, invoice, path=path)


async def _last_drawing(session: AsyncSession, grant_id: UUID, segment: int) -> Invoice | None:
    rows = await session.execute(
        select(Invoice)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .where(InvoiceLine.grant_id == grant_id, InvoiceLine.segment == segment, ~IS_VOID)
        .order_by(col(Invoice.number).desc())
        .limit(1)
    )
    return rows.scalar_one_or_none()


def used(message: str, invoice: Invoice | None, *, path: Path) -> InvalidState:
    """The refusal of a change that a final invoice forbids."""
    return InvalidState(ErrorCode.BALANCE_ON_FINALIZED_INVOICE, message, path=path, conflicting=invoice)
