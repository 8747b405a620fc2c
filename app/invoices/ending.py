"""The end of a contract, seen from its final invoices: one that ends earlier than they do, and one that is archived.

Owns the guard, the warnings, and that an archived contract may take its invoices with it (semantics 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.ending import archive_contract, move_end
from app.contracts.reading import changeable_contract
from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.errors import ErrorCode, InvalidInput
from app.invoices import gates
from app.invoices.numbers import number_text
from app.invoices.tables import IS_VOID, Invoice
from app.invoices.voiding import void_invoice


async def update_end_date(
    session: AsyncSession,
    contract_id: UUID,
    ending_before: datetime | None,
    *,
    allow_ending_before_invoice: bool = True,
) -> tuple[Contract, list[str]]:
    """Move the end of a contract; final invoices stay as they are, and a warning names each that reaches beyond.

    Errors: those of `move_end`; ENDS_BEFORE_FINALIZED_INVOICE naming the first when that is not allowed.
    """
    contract = await move_end(session, contract_id, ending_before)
    beyond = await _beyond(session, contract)
    if beyond and not allow_ending_before_invoice:
        raise InvalidInput(
            ErrorCode.ENDS_BEFORE_FINALIZED_INVOICE,
            f"{_named(beyond[0])} is final. Void it first, or pass allowEndingBeforeFinalizedInvoice: true to leave it "
            "unchanged.",
            path=("endingBefore",),
            conflicting=beyond[0],
        )
    return contract, [
        f"{_named(invoice)} stays as it is; void and regenerate it to take in the end." for invoice in beyond
    ]


async def archive(session: AsyncSession, contract_id: UUID, *, void_invoices: bool, now: datetime) -> Contract:
    """End a contract for good with its commits and credits; its final invoices stay, or are voided with it.

    Commits that wait for their payment wait no more, and what asks for it is void.

    Errors: `NotFound`, ARCHIVED.
    """
    contract = await changeable_contract(session, contract_id)
    if void_invoices:
        rows = await session.scalars(
            select(Invoice)
            .where(Invoice.contract_id == contract_id, ~IS_VOID)
            # What puts others together goes before them.
            .order_by(col(Invoice.type) != InvoiceType.USAGE_CONSOLIDATED, col(Invoice.number))
        )
        for invoice in rows.all():
            await void_invoice(session, invoice.id, reason="The contract was archived.", now=now)
    await gates.fail_all_of_contract(session, contract_id, reason="The contract was archived.", now=now)
    return await archive_contract(session, contract.id, now=now)


async def _beyond(session: AsyncSession, contract: Contract) -> Sequence[Invoice]:
    """Usage statements that count and reach beyond the end of their contract, by start."""
    if contract.ending_before is None:
        return []
    rows = await session.scalars(
        select(Invoice)
        .where(
            Invoice.contract_id == contract.id,
            Invoice.type == InvoiceType.USAGE,
            col(Invoice.ending_before) > contract.ending_before,
            ~IS_VOID,
        )
        .order_by(col(Invoice.starting_at))
    )
    return rows.all()


def _named(invoice: Invoice) -> str:
    return f"Invoice {number_text(invoice.number)} until {invoice.ending_before:%Y-%m-%dT%H:%MZ}"
