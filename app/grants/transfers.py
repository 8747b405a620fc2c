"""Entries in the books of balances: every movement is one row from an account to another, and none is ever changed.

Owns their writing. A movement out of a segment has the segment as its source, one into it as its target.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.change import note_change
from app.checks import text_of
from app.core.drawdown import Draw
from app.core.grants import SegmentKey
from app.core.ledger import TransferKind
from app.core.money import ZERO
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.grants.reading import account_of
from app.grants.service import KINDS
from app.grants.tables import GrantRow, SegmentRow, TransferRow
from app.store.ids import to_text
from app.store.locks import lock_customer

ADJUSTMENT, CANCELED = "adjustment", "canceled"


def draw_rows(
    draws: Iterable[Draw], *, invoice_id: UUID, contract_id: UUID, at: datetime, now: datetime
) -> list[TransferRow]:
    """What an invoice takes from balances, one row for each segment; `at` is the end of its service period."""
    return [
        transfer(
            TransferKind.AUTOMATED_INVOICE_DEDUCTION, draw.pot, -draw.amount, other=invoice_account(invoice_id), at=at,
            invoice_id=invoice_id, contract_id=contract_id, now=now,
        )
        for draw in draws
    ]  # fmt: skip


def transfer(
    kind: TransferKind,
    segment: SegmentKey,
    amount: Decimal,
    *,
    other: str,
    at: datetime,
    now: datetime,
    invoice_id: UUID | None = None,
    contract_id: UUID | None = None,
    reason: str | None = None,
) -> TransferRow:
    """A movement between a segment and another account: into the segment above zero, out of it below."""
    assert amount != ZERO, "nothing moves without an amount"
    own = account_of(segment.grant_id, segment.number)
    source, target = (other, own) if amount > ZERO else (own, other)
    return TransferRow(
        created_at=now, kind=kind, source=source, target=target, amount=abs(amount), grant_id=segment.grant_id,
        segment=segment.number, at=at, invoice_id=invoice_id, contract_id=contract_id, reason=reason,
    )  # fmt: skip


def invoice_account(invoice_id: UUID) -> str:
    """The name of an invoice's account."""
    return f"invoice:{invoice_id}"


async def adjust(
    session: AsyncSession,
    grant_id: UUID,
    *,
    segment: int = 0,
    amount: Decimal,
    reason: str,
    at: datetime | None = None,
    now: datetime,
) -> TransferRow:
    """Enter an amount by hand: above zero gives, below zero takes; dated at the start of the segment by default.

    It counts at once, whatever its date. Errors: `NotFound`, REASON_REQUIRED, INVALID for zero, ARCHIVED.
    """
    row = await session.get(GrantRow, grant_id)
    if row is None:
        raise NotFound("Balance", to_text("credit", grant_id), path=("input", "id"))
    await lock_customer(session, row.customer_id)
    if row.archived_at is not None:
        raise InvalidState(ErrorCode.ARCHIVED, "The balance is archived.", path=("input", "id"), conflicting=row)
    if not reason.strip():
        raise InvalidInput(ErrorCode.REASON_REQUIRED, "Say why, in 1 to 500 characters.", path=("input", "reason"))
    text_of(reason, path=("input", "reason"), longest=500)
    if amount == ZERO:
        raise InvalidInput(ErrorCode.INVALID, "amount is 0; write what to add or to take.", path=("input", "amount"))
    found = await session.execute(
        select(SegmentRow).where(SegmentRow.grant_id == grant_id, SegmentRow.number == segment)
    )
    of_segment = found.scalar_one_or_none()
    if of_segment is None:
        raise NotFound("Segment", segment, path=("input", "segment"))
    made = transfer(
        TransferKind.MANUAL, SegmentKey(grant_id, segment), amount, other=ADJUSTMENT, at=at or of_segment.starting_at,
        now=now, reason=reason,
    )  # fmt: skip
    session.add(made)
    await session.flush()
    note_change(session, KINDS[row.type], row.id, after={"entry": amount, "segment": segment, "reason": reason})
    return made
