"""What final invoices forbid when dated amounts are changed: payments of a commit, instalments of a charge.

Owns the refusals of semantics 4.2 about them, each naming the invoice. A void invoice forbids nothing but the removal
of what it carries, because that comes back with its regeneration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, and_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.core.fees import ScheduledItem
from app.core.lines import LineType
from app.errors import ErrorCode, InvalidState
from app.grants.editing import Edited
from app.invoices.numbers import number_text
from app.invoices.standing import IS_REGENERATED
from app.invoices.tables import IS_VOID, Invoice, InvoiceLine

Billed = tuple[Decimal | None, Decimal | None, str]
"""Unit price, quantity and currency of an instalment."""


async def check_payments(session: AsyncSession, found: Edited, *, path: Path) -> None:
    """Payments that are on final invoices stay as they are, and on the contract that billed them: ALREADY_FINALIZED."""
    moved = found.entry.invoice_contract_id != found.before.row.invoice_contract_id
    entry = found.entry
    coming: Mapping[tuple[datetime, int], Billed] = {}
    if entry.payment is not None and not entry.payment.do_not_invoice and not moved:
        coming = by_place(entry.payment.items(entry.unit), entry.payment.unit or entry.unit)
    bought = and_(col(InvoiceLine.grant_id) == found.before.row.id, col(InvoiceLine.type) == LineType.COMMIT_PURCHASE)
    await check_items(session, bought, coming, what="payment", path=path)


async def check_items(
    session: AsyncSession,
    of_source: ColumnElement[bool],
    coming: Mapping[tuple[datetime, int], Billed],
    *,
    what: str,
    path: Path,
) -> None:
    """Instalments that are on final invoices stay as they are: ALREADY_FINALIZED. `of_source` chooses their lines.

    One on a void invoice that was not made again may change, and stays.
    """
    rows = await session.execute(
        select(InvoiceLine, Invoice, IS_VOID)
        .join(Invoice, col(Invoice.id) == InvoiceLine.invoice_id)
        .where(of_source, ~IS_REGENERATED)
        .order_by(col(Invoice.number), col(InvoiceLine.position))
    )
    for line, invoice, is_void in rows:
        assert line.charged_at is not None, "an instalment has a date"
        now = coming.get((line.charged_at, line.ordinal))
        if now is None or not (is_void or now == (line.unit_price, line.quantity, line.unit)):
            raise InvalidState(
                ErrorCode.ALREADY_FINALIZED,
                f"Invoice {number_text(invoice.number)} carries the {what} of {line.charged_at:%Y-%m-%dT%H:%MZ}; it "
                + ("cannot be removed." if is_void else "stays as it is. Void the invoice first."),
                path=path,
                conflicting=invoice,
            )


async def check_absent(session: AsyncSession, of_source: ColumnElement[bool], *, what: str, path: Path) -> None:
    """No invoice that counts has a line of the source: ALREADY_FINALIZED naming the first that has."""
    found = await session.scalars(
        select(Invoice)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .where(of_source, ~IS_VOID)
        .order_by(col(Invoice.number))
        .limit(1)
    )
    invoice = found.first()
    if invoice is not None:
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"Invoice {number_text(invoice.number)} carries the {what}; void it first, or let what is still to come end by "
            "an update.",
            path=path,
            conflicting=invoice,
        )


def of_charge(charge_id: UUID) -> ColumnElement[bool]:
    """The lines of a scheduled charge."""
    return and_(col(InvoiceLine.charge_id) == charge_id, col(InvoiceLine.type) == LineType.SCHEDULED)


def by_place(items: Sequence[ScheduledItem], unit: str) -> dict[tuple[datetime, int], Billed]:
    """Instalments by their date and their place at that date."""
    found: dict[tuple[datetime, int], Billed] = {}
    for place, item in enumerate(items):
        ordinal = sum(earlier.at == item.at for earlier in items[:place])
        found[item.at, ordinal] = (item.unit_price, item.quantity, unit)
    return found
