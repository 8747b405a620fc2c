"""What final invoices of children forbid when it changes who may draw on a balance.

Owns that refusal: what a final invoice drew stays within what the child was allowed, until the invoice is void.
"""

from __future__ import annotations

from datetime import UTC

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.contracts.tables import Contract
from app.core.grants import GrantType
from app.core.hierarchy import drawing_periods
from app.core.period import Period
from app.grants.child_access import changes_of, sharing_of
from app.grants.editing import Edited
from app.invoices.balance_guards import check_no_true_up, used
from app.invoices.numbers import number_text
from app.invoices.tables import IS_VOID, Invoice, InvoiceLine
from app.store.ids import to_text


async def check_shared(session: AsyncSession, found: Edited, *, path: Path) -> None:
    """No child loses a time in which a final invoice of it drew on the balance: BALANCE_ON_FINALIZED_INVOICE.

    Nor does it change for a postpaid commit whose true-up is final, since who counted towards it was settled there.
    """
    row, change = found.before.row, found.sharing
    if change is None:
        return
    if row.type == GrantType.POSTPAID:
        await check_no_true_up(session, row.id, path=path)
    drawn = await session.execute(
        select(Invoice, InvoiceLine.starting_at, InvoiceLine.ending_before)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .join(Contract, col(Contract.id) == Invoice.contract_id)
        .where(
            InvoiceLine.grant_id == row.id,
            Contract.parent_id == row.contract_id,
            col(InvoiceLine.ending_before) > change.starting_at,
            ~IS_VOID,
        )
        .order_by(col(Invoice.number), col(InvoiceLine.position))
    )
    changes = [*changes_of(row), change]
    for invoice, start, end in drawn:
        service = Period(start.astimezone(UTC), end.astimezone(UTC))
        allowed = drawing_periods(sharing_of(row), changes, invoice.contract_id)
        if allowed is not None and service not in [service.intersect(period) for period in allowed]:
            raise used(
                f"Invoice {number_text(invoice.number)} of child {to_text('contract', invoice.contract_id)} has drawn on it "
                f"for {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}; void it first, or let the change begin later.",
                invoice,
                path=(*path, "startingAt"),
            )
