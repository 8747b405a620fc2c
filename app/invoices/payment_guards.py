"""What final invoices forbid when payments of a commit are changed.

Owns the refusals of semantics 4.2 about payments, each naming the invoice. A void invoice forbids nothing but the removal
of what it carries, because that comes back with its regeneration.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.core.fees import ScheduledItem
from app.core.lines import LineType
from app.errors import ErrorCode, InvalidState
from app.grants.definitions import NewGrant
from app.grants.editing import Edited
from app.invoices.numbers import number_text
from app.invoices.standing import IS_REGENERATED
from app.invoices.tables import IS_VOID, Invoice, InvoiceLine


async def check_payments(session: AsyncSession, found: Edited, *, path: Path) -> None:
    """Payments that are on final invoices stay as they are, and on the contract that billed them: ALREADY_FINALIZED.

    One on a void invoice that was not made again may change, and stays.
    """
    rows = await session.execute(
        select(InvoiceLine, Invoice, IS_VOID)
        .join(Invoice, col(Invoice.id) == InvoiceLine.invoice_id)
        .where(
            InvoiceLine.grant_id == found.before.row.id,
            InvoiceLine.type == LineType.COMMIT_PURCHASE,
            ~IS_REGENERATED,
        )
        .order_by(col(Invoice.number), col(InvoiceLine.position))
    )
    coming = _payments(found.entry)
    moved = found.entry.invoice_contract_id != found.before.row.invoice_contract_id
    for line, invoice, is_void in rows:
        assert line.charged_at is not None, "a purchase has a date"
        now = coming.get((line.charged_at, line.ordinal))
        same = (line.unit_price, line.quantity, line.unit)
        if moved or now is None or not (is_void or now == same):
            raise InvalidState(
                ErrorCode.ALREADY_FINALIZED,
                f"Invoice {number_text(invoice.number)} carries the payment of {line.charged_at:%Y-%m-%dT%H:%MZ}; it "
                + ("cannot be removed." if is_void else "stays as it is. Void the invoice first."),
                path=path,
                conflicting=invoice,
            )


def _payments(entry: NewGrant) -> dict[tuple[object, int], tuple[Decimal | None, Decimal | None, str]]:
    """What will be billed, by date and place at that date."""
    if entry.payment is None or entry.payment.do_not_invoice:
        return {}
    items: Sequence[ScheduledItem] = entry.payment.items(entry.unit)
    unit = entry.payment.unit or entry.unit
    found: dict[tuple[object, int], tuple[Decimal | None, Decimal | None, str]] = {}
    for place, item in enumerate(items):
        ordinal = sum(earlier.at == item.at for earlier in items[:place])
        found[item.at, ordinal] = (item.unit_price, item.quantity, unit)
    return found
