"""The true-up of a postpaid commit, called off.

Owns that change. What is missing of a commit, and when it is billed, is worked out in the invoices slice.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.core.grants import GrantType
from app.core.ledger import TransferKind
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.grants.changing import locked_grant
from app.grants.shown import KINDS
from app.grants.tables import GrantRow, TransferRow
from app.invoices.tables import IS_VOID, Invoice
from app.store.ids import to_text

PATH = ("id",)


async def disable_true_up(session: AsyncSession, grant_id: UUID) -> GrantRow:
    """Never bill what is missing of a postpaid commit; doing it twice changes nothing.

    Errors: those of `locked_grant`, INVALID for what has no true-up, ALREADY_FINALIZED naming a true-up that counts.
    """
    row = await locked_grant(session, grant_id, path=PATH)
    if row.type != GrantType.POSTPAID:
        raise InvalidInput(ErrorCode.INVALID, f"A {row.type} balance has no true-up.", path=PATH)
    billed = await session.scalars(
        select(Invoice)
        .join(TransferRow, col(TransferRow.invoice_id) == Invoice.id)
        .where(TransferRow.grant_id == grant_id, TransferRow.kind == TransferKind.TRUEUP, ~IS_VOID)
    )
    invoice = billed.first()
    if invoice is not None:
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"Its true-up is final as invoice {to_text('invoice', invoice.id)}; void that first.",
            path=PATH,
            conflicting=invoice,
        )
    if not row.trueup_disabled:
        row.trueup_disabled = True
        row.revision += 1
        await session.flush()
        note_change(session, KINDS[row.type], row.id, before={"trueUpDisabled": False}, after={"trueUpDisabled": True})
    return row
