"""What a void moves in the ledgers: draws are credited, and commits that the invoice sold are canceled.

Owns those entries (golden decision 29). The caller holds the customer's lock.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.grants import GateStatus
from app.core.ledger import TransferKind
from app.core.lines import LineType
from app.grants import gates
from app.grants.canceling import cancel_rest
from app.grants.followed import with_rollovers
from app.grants.reading import gate_of
from app.grants.tables import GrantRow, TransferRow
from app.invoices.tables import Invoice, InvoiceLine

TAKEN = (TransferKind.AUTOMATED_INVOICE_DEDUCTION, TransferKind.TRUEUP)
"""What an invoice takes from balances."""


async def give_back(session: AsyncSession, invoice: Invoice, *, now: datetime) -> None:
    """Credit every draw of an invoice to the segment from which it came."""
    rows = await session.execute(
        select(TransferRow)
        .where(TransferRow.invoice_id == invoice.id, col(TransferRow.kind).in_(TAKEN))
        .order_by(col(TransferRow.created_at), col(TransferRow.id))
    )
    for row in rows.scalars().all():
        session.add(
            TransferRow(
                created_at=now, kind=TransferKind.CREDITED, source=row.target, target=row.source, amount=row.amount,
                grant_id=row.grant_id, segment=row.segment, at=now, invoice_id=invoice.id,
                contract_id=invoice.contract_id,
            )
        )  # fmt: skip
    await session.flush()


async def cancel_purchases(session: AsyncSession, invoice: Invoice, *, now: datetime) -> None:
    """Take away what is left now of the commits that were to be paid with an invoice, and of what rolled over from them.

    A payment that is awaited cannot be made any more, and has failed.
    """
    sold = await session.scalars(
        select(InvoiceLine.grant_id).where(
            InvoiceLine.invoice_id == invoice.id, InvoiceLine.type == LineType.COMMIT_PURCHASE
        )
    )
    ids = await with_rollovers(session, {grant_id for grant_id in sold if grant_id is not None})
    await cancel_rest(session, ids, now=now, invoice_id=invoice.id, contract_id=invoice.contract_id)
    if invoice.purchase_of is not None:
        row = await session.get_one(GrantRow, invoice.purchase_of)
        if gate_of(row) is GateStatus.PENDING:
            await gates.settle(session, row, GateStatus.FAILED, reason="Its invoice was voided.", now=now)
