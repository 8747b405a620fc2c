"""Regenerate: a void invoice is made again, once, as a new final invoice with a new id and number.

Owns the refusals and the writing; what the new invoice says is worked out in `again.py`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.core.grants import SegmentKey
from app.core.invoice import InvoiceStatus
from app.errors import ErrorCode, InvalidState
from app.grants.transfers import CANCELED, transfer
from app.invoices import reversals_again, service, standing
from app.invoices.again import make_again
from app.invoices.tables import Invoice, InvoiceRegeneration
from app.invoices.voiding import locked_invoice
from app.store.ids import to_text


async def regenerate_invoice(session: AsyncSession, identifier: UUID, *, now: datetime) -> Invoice:
    """Make a void invoice again from what is known now; the new one is issued now, and delivered like any other.

    Errors: `NotFound`, NOT_FINALIZED, NOT_VOID, ALREADY_REGENERATED naming the invoice in its place,
    NOTHING_TO_REGENERATE, and those of `give_again`.
    """
    invoice = await locked_invoice(session, identifier, now=now)
    name = to_text("invoice", identifier)
    if identifier not in await standing.voids_of(session, [identifier]):
        raise InvalidState(
            ErrorCode.NOT_VOID, f"Invoice {name} counts; void it first.", path=("id",), conflicting=invoice
        )
    for link in await standing.regenerations_of(session, [identifier]):
        if link.source_id == identifier:
            raise InvalidState(
                ErrorCode.ALREADY_REGENERATED,
                f"Invoice {name} was made again as {to_text('invoice', link.invoice_id)}; void that one to make it once more.",
                path=("id",),
                conflicting=await session.get_one(Invoice, link.invoice_id),
            )
    made = await make_again(session, invoice, is_void=True, now=now)
    if made is None:
        raise nothing_left(invoice)
    [new] = await service.write_invoices(session, [made.rated], now=now)
    session.add(InvoiceRegeneration(invoice_id=new.id, source_id=identifier, created_at=now))
    for grant_id, moved in made.restored:
        session.add(
            transfer(
                moved.kind, SegmentKey(grant_id, moved.segment), moved.amount, other=CANCELED, at=now, now=now,
                invoice_id=new.id, contract_id=new.contract_id,
            )
        )  # fmt: skip
    await session.flush()
    await reversals_again.give_again(session, new, now=now)
    note_change(
        session, "invoice", new.id, before={"status": InvoiceStatus.VOID, "regeneratedFrom": name},
        after={**service.finalized_summary(new), "regeneratedFrom": name},
    )  # fmt: skip
    return new


def nothing_left(invoice: Invoice) -> InvalidState:
    """The refusal when the contract covers nothing of an invoice any more."""
    return InvalidState(
        ErrorCode.NOTHING_TO_REGENERATE,
        f"Nothing is left of which invoice {to_text('invoice', invoice.id)} could be made again: its contract is "
        "archived or does not cover that time any more, or what it billed is gone.",
        path=("id",),
        conflicting=invoice,
    )
