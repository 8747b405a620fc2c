"""Void: a final invoice counts no more, and gives back what it took from balances.

Owns who may be voided (semantics 6.6, golden decision 45). The invoice itself never changes and keeps its number; what
moves in ledgers is in `giving_back.py`, and what becomes of its delivery is decided by the delivery slice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.contracts.family import lock_family
from app.core.invoice import InvoiceStatus
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.invoices import consolidated, finding, reversals, service
from app.invoices.giving_back import cancel_purchases, give_back
from app.invoices.lifetime import count_invoices
from app.invoices.tables import Invoice, InvoiceVoid
from app.jobs.service import enqueue
from app.store.ids import to_text

MAX_REASON = 500


async def void_invoice(
    session: AsyncSession, identifier: UUID, *, reason: str, in_provider: bool = False, now: datetime
) -> Invoice:
    """Void a final invoice for good; `in_provider` asks the provider to take back what was delivered.

    Errors: `NotFound`, NOT_FINALIZED for a draft, ALREADY_VOID, REASON_REQUIRED, ILLEGAL_TRANSITION for a statement that
    went out with a consolidated invoice.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInput(ErrorCode.REASON_REQUIRED, "Say why, in 1 to 500 characters.", path=("reason",))
    invoice = await locked_invoice(session, identifier, now=now)
    if await session.get(InvoiceVoid, identifier) is not None:
        raise InvalidState(
            ErrorCode.ALREADY_VOID, f"Invoice {to_text('invoice', identifier)} is void already; invoiceRegenerate makes it again.", path=("id",),
            conflicting=invoice,
        )  # fmt: skip
    await consolidated.refuse_constituent(session, invoice)
    session.add(InvoiceVoid(invoice_id=identifier, created_at=now, reason=reason.strip(), in_provider=in_provider))
    await count_invoices(session, [invoice], void=True)
    await give_back(session, invoice, now=now)
    await cancel_purchases(session, invoice, now=now)
    await reversals.take_back(session, invoice, now=now)
    if invoice.billing_configuration_id is not None:
        await enqueue(session, service.DELIVERIES_JOB, once=service.DELIVERIES_JOB)
    await session.flush()
    note_change(
        session, "invoice", identifier, before={"status": InvoiceStatus.FINALIZED},
        after={"status": InvoiceStatus.VOID, "reason": reason.strip(), "voidInProvider": in_provider},
    )  # fmt: skip
    return invoice


async def locked_invoice(session: AsyncSession, identifier: UUID, *, now: datetime) -> Invoice:
    """A final invoice under its customer's lock. Errors: `NotFound`, NOT_FINALIZED for a draft."""
    invoice = await session.get(Invoice, identifier)
    if invoice is None:
        if await finding.find_draft(session, identifier, now=now) is None:
            raise NotFound("Invoice", to_text("invoice", identifier), path=("id",))
        raise InvalidState(
            ErrorCode.NOT_FINALIZED,
            "The invoice is still a draft and follows every change by itself; there is nothing to void before it is final.",
            path=("id",),
        )
    await lock_family(session, invoice.customer_id)
    return invoice
