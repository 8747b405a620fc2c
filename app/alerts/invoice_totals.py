"""What alerts of invoices read: the highest total of an open one, and what those of a month come to."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import func
from sqlmodel import col, select

from app.alerts.snapshot import Snapshot
from app.alerts.tables import AlertRow
from app.contracts.tables import Contract
from app.core.alerts import Reading
from app.core.hierarchy import Consolidation
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact, fiat, round_total
from app.core.period import Frequency, step
from app.invoices.balances import Books
from app.invoices.consolidating import open_consolidated
from app.invoices.tables import IS_VOID, Invoice
from app.store.ids import to_text


async def invoice_total(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """The highest total of an open invoice after balances; the invoice is named."""
    totals = [
        (round_total(item.draft.subtotal, fiat(item.statement.currency)), to_text("invoice", item.id))
        for item in await snapshot.drafts(row)
        if item.statement.currency == row.unit and _is_meant(row, item.statement.type)
    ]
    totals += await _consolidated_totals(snapshot, row)
    return [Reading(total, triggered_by=name) for total, name in sorted(totals)[-1:]]


async def _consolidated_totals(snapshot: Snapshot, row: AlertRow) -> list[tuple[Decimal, str]]:
    """Those of the open invoices that put statements of a parent and its children together: they are the parent's."""
    if not _is_meant(row, InvoiceType.USAGE_CONSOLIDATED):
        return []
    parents = await snapshot.session.scalars(
        select(Contract).where(
            Contract.customer_id == snapshot.customer_id, Contract.currency == row.unit,
            Contract.consolidation == Consolidation.CONCATENATE, col(Contract.archived_at).is_(None),
        )
    )  # fmt: skip
    meant = [contract for contract in parents.all() if await snapshot.carries(row, "CONTRACT", contract.id)]
    books = Books(snapshot.session, now=snapshot.now)
    totals: list[tuple[Decimal, str]] = []
    for statement in await open_consolidated(snapshot.session, meant, now=snapshot.now):
        rated = await books.rate(statement)
        snapshot.together.rated += len(statement.constituents)
        totals.append((round_total(rated.draft.subtotal, fiat(statement.currency)), to_text("invoice", rated.id)))
    return totals


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
    statement = (
        select(Invoice.contract_id, func.sum(col(Invoice.total)))
        .where(
            Invoice.customer_id == snapshot.customer_id, Invoice.currency == row.unit,
            Invoice.type != InvoiceType.USAGE_CONSOLIDATED, Invoice.starting_at >= month, Invoice.starting_at < end, ~IS_VOID,
        )
        .group_by(col(Invoice.contract_id))
    )  # fmt: skip
    if row.invoice_types:
        statement = statement.where(col(Invoice.type).in_(row.invoice_types))
    for contract_id, final in (await snapshot.session.execute(statement)).all():
        if await snapshot.carries(row, "CONTRACT", contract_id):
            found.append(Decimal(final))
    if not found:
        return []
    with exact():
        return [Reading(sum(found, ZERO))]


def _is_meant(row: AlertRow, invoice_type: str) -> bool:
    return not row.invoice_types or invoice_type in row.invoice_types
