"""Commits and credits that end earlier: their access, their payments, or both.

Owns what the end of semantics 5.1 makes of segments and payments; it is carried out as an edit, so final invoices forbid
the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import hour_of
from app.core.grants import GrantType, Segment
from app.errors import ErrorCode, InvalidInput
from app.grants.changing import changeable_grant
from app.grants.definitions import PaymentSchedule, payment_from_json
from app.grants.editing import GrantEdit, edited, write
from app.grants.segments import SegmentEdits, SegmentUpdate
from app.grants.tables import GrantRow
from app.invoices.balance_guards import check_access
from app.invoices.payment_guards import check_payments


async def end_balance(
    session: AsyncSession,
    grant_id: UUID,
    *,
    access_ending_before: datetime | None = None,
    invoices_ending_before: datetime | None = None,
    revision: int | None = None,
    now: datetime,
) -> GrantRow:
    """Let access end earlier, or payments, or both; segments and payments that would begin after that are dropped.

    Errors: those of `update_balance`, NOT_SUPPORTED for a postpaid commit, REQUIRED without any end, INVALID_INTERVAL for
    one that is not earlier, or before all access.
    """
    item = await changeable_grant(session, grant_id, revision=revision)
    if item.grant.type is GrantType.POSTPAID:
        raise InvalidInput(ErrorCode.NOT_SUPPORTED, "A postpaid commit cannot be shortened.", path=("id",))
    if access_ending_before is None and invoices_ending_before is None:
        raise InvalidInput(ErrorCode.REQUIRED, "Name an end for access or for payments.", path=("accessEndingBefore",))
    terms: Mapping[str, Any] = {}
    if invoices_ending_before is not None:
        terms = {"payment": _cut_payments(item.row, invoices_ending_before)}
    access = SegmentEdits()
    if access_ending_before is not None:
        access = _cut_access(item.grant.segments, access_ending_before)
    found = await edited(session, item, GrantEdit(terms, access), path=(), now=now)
    await check_access(session, found, path=("accessEndingBefore",))
    await check_payments(session, found, path=("invoicesEndingBefore",))
    return await write(session, found, now=now)


def _cut_access(segments: Sequence[Segment], ending_before: datetime) -> SegmentEdits:
    path = ("accessEndingBefore",)
    end = hour_of(ending_before, path=path)
    ends = [(segment, segment.period.ending_before) for segment in segments]
    if not any(last is not None and last > end for _, last in ends):
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL, "Access ends by then anyway; it can only be shortened.", path=path
        )
    if all(segment.period.starting_at >= end for segment in segments):
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL, "No access would be left; archive the balance instead.", path=path
        )
    return SegmentEdits(
        update=[
            SegmentUpdate(segment.number, ending_before=end)
            for segment, last in ends
            if segment.period.starting_at < end and last is not None and last > end
        ],
        remove=[segment.number for segment in segments if segment.period.starting_at >= end],
    )


def _cut_payments(row: GrantRow, ending_before: datetime) -> PaymentSchedule | None:
    """The payments before an instant as they are, one by one: parts of a divided amount do not grow."""
    if row.invoice is None:
        raise InvalidInput(ErrorCode.INVALID, "Nothing is paid for it.", path=("invoicesEndingBefore",))
    schedule = payment_from_json(row.invoice)
    items = tuple(item for item in schedule.items(row.unit) if item.at < ending_before)
    return PaymentSchedule(items, schedule.unit, schedule.do_not_invoice) if items else None
