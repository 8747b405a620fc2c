"""Alerts: made, disabled and enabled, archived, and looked at anew.

Owns the rows; what fits is in `rules.py`. Nothing is evaluated here: whoever it concerns is noted, and looked at soon.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, insert, select

from app.alerts.rules import NewAlert, check_alert
from app.alerts.tables import AlertRow, AlertStateRow, AlertTouch
from app.change import note_change
from app.checks import name_of
from app.custom_fields.service import insert_custom_fields
from app.customers.reading import changeable_customer
from app.customers.tables import Customer
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.jobs.service import enqueue
from app.store import ids, unique
from app.usage.watched import ALERTS_JOB


async def create_alert(session: AsyncSession, wanted: NewAlert, *, now: datetime) -> AlertRow:
    """A new alert, which is evaluated soon for everybody whom it concerns.

    Errors: those of `check_alert`, `NotFound` and ARCHIVED for the customer, `Conflict`.
    """
    if wanted.customer_id is not None:
        await changeable_customer(session, wanted.customer_id, path=("input", "customerId"))
    unit = await check_alert(session, wanted)
    row = AlertRow(
        created_at=now, name=name_of(wanted.name, path=("input", "name")), type=wanted.type, threshold=wanted.threshold,
        unit=unit, customer_id=wanted.customer_id, metric_id=wanted.metric_id,
        custom_field_filters=[
            {"entity": item.entity, "key": item.key, "value": item.value} for item in wanted.custom_field_filters
        ],
        group_values=[{"key": item.key, "value": item.value} for item in wanted.group_values],
        seat_key=None if wanted.seat is None else wanted.seat.key,
        seat_value=None if wanted.seat is None else wanted.seat.value,
        invoice_types=sorted(set(wanted.invoice_types)), hysteresis=wanted.hysteresis,
        evaluate_on_create=wanted.evaluate_on_create, notify_on_resolve=wanted.notify_on_resolve,
        uniqueness_key=wanted.uniqueness_key,
    )  # fmt: skip
    async with unique.once(session, AlertRow, wanted.uniqueness_key):
        session.add(row)
        await session.flush()
    fields = await insert_custom_fields(session, row, wanted.custom_fields)
    await _look(session, row)
    note_change(session, "alert", row.id, after=_shown(row) | fields)
    return row


async def enable_alert(session: AsyncSession, alert_id: UUID, *, is_enabled: bool, now: datetime) -> AlertRow:
    """Stop looking at an alert, or look again. Errors: `NotFound`, ARCHIVED.

    It goes on from where it stood: what it would have told of in between is told now if it still holds, else never.
    """
    row = await _live(session, alert_id, path=("id",))
    before = _shown(row)
    if is_enabled is (row.disabled_at is not None):
        row.disabled_at = None if is_enabled else now
        await session.flush()
        if is_enabled:
            await _look(session, row)
    note_change(session, "alert", row.id, before=before, after=_shown(row))
    return row


async def archive_alert(session: AsyncSession, alert_id: UUID, *, release_key: bool, now: datetime) -> AlertRow:
    """End an alert for good; with `release_key` its uniqueness key may be used again. Errors: `NotFound`, ARCHIVED."""
    row = await _live(session, alert_id, path=("id",))
    before = _shown(row)
    row.archived_at = now
    if release_key:
        row.uniqueness_key = None
    await session.flush()
    note_change(session, "alert", row.id, before=before, after=_shown(row))
    return row


async def reset_alert(session: AsyncSession, alert_id: UUID, customer_id: UUID) -> AlertRow:
    """Forget where an alert stands with a customer; it is evaluated anew soon, and may tell again.

    Errors: `NotFound`, ARCHIVED, INVALID for a customer whom it does not concern.
    """
    row = await _live(session, alert_id, path=("alertId",))
    await changeable_customer(session, customer_id, path=("customerId",))
    if row.customer_id not in (None, customer_id):
        raise InvalidInput(ErrorCode.INVALID, "The alert watches another customer.", path=("customerId",))
    await session.execute(
        delete(AlertStateRow).where(
            col(AlertStateRow.alert_id) == alert_id, col(AlertStateRow.customer_id) == customer_id
        )
    )
    await session.execute(insert(AlertTouch).values(customer_id=customer_id))
    await _ask(session)
    note_change(session, "alert", row.id, after={"reset": ids.to_text("customer", customer_id)})
    return row


async def _look(session: AsyncSession, row: AlertRow) -> None:
    """Have an alert evaluated soon for everybody whom it concerns."""
    concerned = select(Customer.id).where(col(Customer.archived_at).is_(None))
    if row.customer_id is not None:
        concerned = concerned.where(Customer.id == row.customer_id)
    await session.execute(insert(AlertTouch).from_select(["customer_id"], concerned))
    await _ask(session)


async def _ask(session: AsyncSession) -> None:
    await enqueue(session, ALERTS_JOB, once=ALERTS_JOB)


async def _live(session: AsyncSession, alert_id: UUID, *, path: tuple[str, ...]) -> AlertRow:
    row = await session.get(AlertRow, alert_id, with_for_update=True)
    if row is None:
        raise NotFound("Alert", ids.to_text("alert", alert_id), path=path)
    if row.archived_at is not None:
        raise InvalidState(ErrorCode.ARCHIVED, "The alert is archived; make another one.", path=path, conflicting=row)
    return row


def _shown(row: AlertRow) -> dict[str, object]:
    """What the audit log says."""
    return {
        "name": row.name,
        "type": row.type,
        "threshold": str(row.threshold),
        "unit": row.unit,
        "customer": None if row.customer_id is None else ids.to_text("customer", row.customer_id),
        "isEnabled": row.disabled_at is None,
        "archivedAt": None if row.archived_at is None else row.archived_at.isoformat(),
        "uniquenessKey": row.uniqueness_key,
    }
