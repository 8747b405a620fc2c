"""What alerts of invoices read: the highest total of an open one, and what those of a month come to."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import func
from sqlmodel import col, select

from app.alerts.snapshot import Snapshot
from app.alerts.tables import AlertRow
from app.core.alerts import Reading
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact, fiat, round_total
from app.core.period import Frequency, step
from app.invoices.tables import IS_VOID, Invoice
from app.store.ids import to_text


async def invoice_total(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """The highest total of an open invoice after balances; the invoice is named."""
    totals = [
        (round_total(item.draft.subtotal, fiat(item.statement.currency)), to_text("invoice", item.id))
        for item in await snapshot.drafts(row)
        if item.statement.currency == row.unit and _is_meant(row, item.statement.type)
    ]
    return [Reading(total, triggered_by=name) for total, name in sorted(totals)[-1:]]


async def monthly_total(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """What invoices come to whose service, or date, begins in the calendar month of now; void ones do not count."""
    month = snapshot.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = step(month, Frequency.MONTHLY, 1)
    found = [
        item.draft.subtotal
        for item in await snapshot.drafts(row)
        if item.statement.currency == row.unit
        and _is_meant(row, item.statement.type)
        and month <= item.statement.period.starting_at < end
    ]
    statement = select(func.count(), func.coalesce(func.sum(col(Invoice.total)), ZERO)).where(
        Invoice.customer_id == snapshot.customer_id, Invoice.currency == row.unit, Invoice.type != InvoiceType.USAGE_CONSOLIDATED,
        Invoice.starting_at >= month, Invoice.starting_at < end, ~IS_VOID,
    )  # fmt: skip
    if row.invoice_types:
        statement = statement.where(col(Invoice.type).in_(row.invoice_types))
    count, final = (await snapshot.session.execute(statement)).one()
    if not found and not count:
        return []
    with exact():
        return [Reading(sum(found, ZERO) + Decimal(final))]


def _is_meant(row: AlertRow, invoice_type: str) -> bool:
    return not row.invoice_types or invoice_type in row.invoice_types
