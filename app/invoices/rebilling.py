"""Credit and rebill: a final invoice is voided and made again in one step, both or nothing.

Owns the one step, and that nobody rebills to another total than the one that was seen in the preview.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.core.differences import LineDifference, line_differences
from app.core.invoice import InvoiceStatus
from app.core.money import canonical
from app.errors import ErrorCode, InvalidState
from app.invoices import books, regenerating, service, voiding
from app.invoices.tables import Invoice
from app.store.ids import to_text


@dataclass(frozen=True, slots=True)
class Rebilled:
    """The invoice that was voided, the one in its place, and what differs, line by line."""

    voided: Invoice
    made: Invoice
    differences: Sequence[LineDifference]


async def rebill_invoice(
    session: AsyncSession,
    identifier: UUID,
    *,
    reason: str,
    in_provider: bool,
    expected_total: Decimal | None = None,
    now: datetime,
) -> Rebilled:
    """Void an invoice and make it again from what is known now.

    Errors: those of `void_invoice` and `regenerate_invoice`; STALE_REVISION when it would come to another total than the
    expected one, which happens when usage or prices moved since the preview.
    """
    voided = await voiding.void_invoice(session, identifier, reason=reason, in_provider=in_provider, now=now)
    made = await regenerating.regenerate_invoice(session, identifier, now=now)
    if expected_total not in (None, made.total):
        raise InvalidState(
            ErrorCode.STALE_REVISION,
            f"The invoice would come to {canonical(made.total)} {made.currency} now; look at the preview again.",
            path=("expectedTotal",),
        )
    name = to_text("invoice", identifier)
    note_change(
        session, "invoice", made.id, before={"status": InvoiceStatus.FINALIZED, "total": canonical(voided.total)},
        after={
            **service.finalized_summary(made), "regeneratedFrom": name, "reason": reason.strip(),
            "voidInProvider": in_provider,
        },
    )  # fmt: skip
    before, after = await books.lines_of(session, identifier), await books.lines_of(session, made.id)
    return Rebilled(voided, made, line_differences(before, after))
