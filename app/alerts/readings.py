"""What each type of alert reads of a customer.

Owns one table from types to readings. The arithmetic is the core's, and the judgement `evaluating.py`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from app.alerts.invoice_totals import invoice_total, monthly_total
from app.alerts.snapshot import Snapshot
from app.alerts.spend import spend
from app.alerts.tables import AlertRow
from app.alerts.usage import usage
from app.core import alert_readings as core
from app.core.alerts import COMMITS, CREDITS, AlertType, Reading, Subject
from app.core.ledger import balance_at
from app.core.money import ZERO, exact
from app.grants.reading import StoredGrant
from app.store.ids import to_text


async def read(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """What an alert reads now. Nothing is no data, and no data is no alarm."""
    return await _READERS[AlertType(row.type)](snapshot, row)


async def _balance(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """What can be used now of balances in the alert's unit, seats' aside; no data before one has begun."""
    moved = await snapshot.movements()
    found = [balance_at(item.grant, moved[item.row.id], at=snapshot.now) for item in await _balances(snapshot, row)]
    with exact():
        return [Reading(sum(found, ZERO))] if found else []


async def _percentage(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """What is left of the active segments, of a hundred."""
    moved = await snapshot.movements()
    left, granted = ZERO, ZERO
    for item in await _balances(snapshot, row):
        parts = core.left_and_granted(item.grant, moved[item.row.id], at=snapshot.now)
        with exact():
            left, granted = left + parts[0], granted + parts[1]
    found = core.percentage(left, granted)
    return [] if found is None else [Reading(found)]


async def _days(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """Days to the end of each active segment, each by itself."""
    found: list[Reading] = []
    for item in await _balances(snapshot, row, in_unit=False):
        kind = "credit" if item.row.type == "CREDIT" else "commit"
        name = to_text(kind, item.row.id)
        for segment in core.active_segments(item.grant, at=snapshot.now):
            access = item.grant.access(segment)
            end = None if access is None else access.ending_before
            assert end is not None, "an active segment has an end"
            subject: Subject = ((f"{kind}Id", name), ("segment", str(segment.number)))
            found.append(Reading(core.days_until(end, now=snapshot.now), subject, name))
    return found


async def _seat_balance(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """What each seat can use now of the balances that are its own."""
    moved = await snapshot.movements()
    by_seat: dict[str, Decimal] = {}
    for item in await snapshot.grants(row):
        seat = item.grant.seat
        is_meant = seat is not None and seat[0] == row.seat_key and row.seat_value in (None, seat[1])
        if seat is None or not is_meant or item.grant.unit != row.unit:
            continue
        if core.has_begun(item.grant, at=snapshot.now):
            left = balance_at(item.grant, moved[item.row.id], at=snapshot.now)
            with exact():
                by_seat[seat[1]] = by_seat.get(seat[1], ZERO) + left
    return [Reading(left, ((str(row.seat_key), seat),), seat) for seat, left in sorted(by_seat.items())]


async def _balances(snapshot: Snapshot, row: AlertRow, *, in_unit: bool = True) -> list[StoredGrant]:
    """The balances that count for an alert: of its types and unit, begun, and not those of single seats."""
    kind = AlertType(row.type)
    return [
        item
        for item in await snapshot.grants(row)
        if (kind in CREDITS if item.row.type == "CREDIT" else kind in COMMITS)
        and item.grant.seat is None
        and (not in_unit or item.grant.unit == row.unit)
        and core.has_begun(item.grant, at=snapshot.now)
    ]


Reader = Callable[[Snapshot, AlertRow], Awaitable[list[Reading]]]
_READERS: Mapping[AlertType, Reader] = {
    AlertType.SPEND_THRESHOLD_REACHED: spend,
    AlertType.USAGE_THRESHOLD_REACHED: usage,
    AlertType.INVOICE_TOTAL_REACHED: invoice_total,
    AlertType.MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED: monthly_total,
    AlertType.LOW_REMAINING_COMMIT_BALANCE_REACHED: _balance,
    AlertType.LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED: _balance,
    AlertType.LOW_REMAINING_CONTRACT_CREDIT_AND_COMMIT_BALANCE_REACHED: _balance,
    AlertType.LOW_REMAINING_COMMIT_PERCENTAGE_REACHED: _percentage,
    AlertType.LOW_REMAINING_CONTRACT_CREDIT_PERCENTAGE_REACHED: _percentage,
    AlertType.LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED: _days,
    AlertType.LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED: _days,
    AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED: _seat_balance,
}
"""A new type joins here."""
