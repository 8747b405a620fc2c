"""Entries by hand: an amount given to a balance or taken from it, with a reason.

Owns who may make one and when it is refused; the row is made by `transfers.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.core.grants import SegmentKey
from app.core.ledger import TransferKind
from app.core.money import ZERO
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants.changing import locked_grant
from app.grants.shown import KINDS
from app.grants.tables import SegmentRow, TransferRow
from app.grants.transfers import ADJUSTMENT, transfer

MAX_REASON = 500


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

    It counts at once, whatever its date. Errors: those of `locked_grant`, REASON_REQUIRED, INVALID for zero,
    `NotFound` for a segment that there is not, or not any more.
    """
    row = await locked_grant(session, grant_id, path=("input", "id"))
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInput(ErrorCode.REASON_REQUIRED, "Say why, in 1 to 500 characters.", path=("input", "reason"))
    if amount == ZERO:
        raise InvalidInput(ErrorCode.INVALID, "amount is 0; write what to add or to take.", path=("input", "amount"))
    found = await session.execute(
        select(SegmentRow).where(
            SegmentRow.grant_id == grant_id, SegmentRow.number == segment, col(SegmentRow.removed_at).is_(None)
        )
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
