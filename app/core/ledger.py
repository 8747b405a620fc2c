"""The books of one commit or credit: its entries, its balance at an instant, its status.

Owns the exact rule of semantics 5.5 to 5.7. Stored transfers and the draws of drafts come in; starts of segments and
expirations are derived, so that they can never disagree with what they are derived from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from app.core.grants import GateStatus, Grant, GrantType, Segment
from app.core.lines import Line, LineType
from app.core.money import ONE, ZERO, exact


class TransferKind(StrEnum):
    """Why an amount moved into a segment or out of it."""

    AUTOMATED_INVOICE_DEDUCTION = "AUTOMATED_INVOICE_DEDUCTION"
    CREDITED = "CREDITED"
    CANCELED = "CANCELED"
    MANUAL = "MANUAL"
    ROLLOVER = "ROLLOVER"
    SEAT_BASED_ADJUSTMENT = "SEAT_BASED_ADJUSTMENT"
    TRUEUP = "TRUEUP"


@dataclass(frozen=True, slots=True)
class Movement:
    """A transfer as one segment sees it: above zero into it, below zero out of it. A draft's is not stored.

    Movements are in the order in which they were made. The rule that drafts use adds them up whatever their instant:
    a manual entry counts at once, even when it is dated in the future.
    """

    kind: TransferKind
    segment: int
    amount: Decimal
    at: datetime
    invoice_id: UUID | None = None
    contract_id: UUID | None = None
    reason: str | None = None
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of a ledger. `balance` is the sum of the segment's entries up to and with this one, unfloored."""

    type: str
    segment: int
    amount: Decimal
    at: datetime
    balance: Decimal
    invoice_id: UUID | None = None
    contract_id: UUID | None = None
    reason: str | None = None
    is_draft: bool = False


class GrantStatus(StrEnum):
    """The state of a commit or credit, computed from facts and never stored."""

    ACTIVE = "ACTIVE"
    UPCOMING = "UPCOMING"
    PENDING = "PENDING"
    EXPIRED = "EXPIRED"
    VOIDED = "VOIDED"


_PREFIX = {GrantType.PREPAID: "PREPAID_COMMIT", GrantType.POSTPAID: "POSTPAID_COMMIT", GrantType.CREDIT: "CREDIT"}


def remaining(segment: Segment, movements: Sequence[Movement]) -> Decimal:
    """What is left of a segment, whether it is active or not; below zero where manual entries took too much."""
    with exact():
        moved = sum((item.amount for item in movements if item.segment == segment.number), ZERO)
        return segment.amount + moved


def balance_at(grant: Grant, movements: Sequence[Movement], *, at: datetime) -> Decimal:
    """What can be used at an instant: what is left of the active segments, each at least zero; nothing until it is paid."""
    if not grant.is_released:
        return ZERO
    active = [segment for segment in grant.segments if (access := grant.access(segment)) and access.contains(at)]
    left = {segment.number: segment.amount for segment in active}
    with exact():
        # Once through the entries, however many segments there are.
        for item in movements:
            if item.segment in left:
                left[item.segment] += item.amount
        return sum((max(ZERO, amount) for amount in left.values()), ZERO)


def ledger(grant: Grant, movements: Sequence[Movement], *, now: datetime) -> list[LedgerEntry]:
    """The entries by instant; at one instant starts come first and expirations last, others as they were made.

    A segment's start stands there from that start on, its expiration from its end on: what no other entry took, and
    always as they are now, also after a later void (golden decision 28).
    """
    prefix = _PREFIX[grant.type]
    start = "INITIAL_BALANCE" if grant.type is GrantType.POSTPAID else "SEGMENT_START"
    found: list[tuple[datetime, int, int, LedgerEntry]] = []
    for segment in grant.segments:
        access = grant.access(segment)
        if access is None:
            continue
        begin, end = access.starting_at, access.ending_before
        assert end is not None, "a segment has an end"
        if begin <= now:
            opening = LedgerEntry(f"{prefix}_{start}", segment.number, segment.amount, begin, ZERO)
            found.append((begin, 0, segment.number, opening))
        left = remaining(segment, movements)
        if end <= now and left > ZERO:
            with exact():
                expired = LedgerEntry(f"{prefix}_EXPIRATION", segment.number, -left, end, ZERO)
            found.append((end, 2, segment.number, expired))
    for place, item in enumerate(movements):
        entry = LedgerEntry(
            f"{prefix}_{item.kind}", item.segment, item.amount, item.at, ZERO, item.invoice_id, item.contract_id,
            item.reason, item.is_draft,
        )  # fmt: skip
        found.append((item.at, 1, place, entry))
    return _with_balances([entry for *_, entry in sorted(found, key=lambda item: item[:3])])


def _with_balances(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    sums: dict[int, Decimal] = {}
    found: list[LedgerEntry] = []
    with exact():
        for entry in entries:
            sums[entry.segment] = sums.get(entry.segment, ZERO) + entry.amount
            found.append(
                LedgerEntry(
                    entry.type, entry.segment, entry.amount, entry.at, sums[entry.segment], entry.invoice_id,
                    entry.contract_id, entry.reason, entry.is_draft,
                )
            )  # fmt: skip
    return found


def true_up_line(grant: Grant, missing: Decimal) -> Line:
    """The line that bills what is missing of a commit."""
    return Line(
        type=LineType.TRUEUP,
        product_id=None,
        product_name=None,
        unit=grant.unit,
        quantity=ONE,
        unit_price=missing,
        amount=missing,
        starting_at=None,
        ending_before=None,
        grant_id=grant.id,
    )


def status_at(grant: Grant, *, at: datetime, is_archived: bool = False) -> GrantStatus:
    """The state at an instant (semantics 5.7): the first that holds of voided, pending, expired, upcoming, active.

    One whose payment failed is voided, one whose payment is awaited is pending.
    """
    if is_archived or grant.gate is GateStatus.FAILED:
        return GrantStatus.VOIDED
    if grant.gate is GateStatus.PENDING:
        return GrantStatus.PENDING
    access = [period for segment in grant.segments if (period := grant.access(segment))]
    if any(period.contains(at) for period in access):
        return GrantStatus.ACTIVE
    if any(period.starting_at > at for period in access):
        return GrantStatus.UPCOMING
    return GrantStatus.EXPIRED
