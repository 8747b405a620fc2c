"""The notice of an alert's change: what it says (semantics 8.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.subjects import subject_of
from app.alerts.tables import AlertRow, AlertTransitionRow
from app.core.alerts import DAYS, AlertType, Told, event_of, reading_name
from app.core.money import canonical
from app.notices.service import emit, identified, written


def tell(session: AsyncSession, row: AlertRow, transition: AlertTransitionRow, told: Told, *, now: datetime) -> None:
    """Say it, once for ever: the key is the transition's id."""
    kind = AlertType(row.type)
    data: dict[str, Any] = {
        **identified(alert=row.id, customer=transition.customer_id, metric=row.metric_id),
        "alertName": row.name, "threshold": canonical(row.threshold), "timestamp": written(now), "unit": row.unit,
        "triggeredBy": transition.triggered_by,
        reading_name(kind): None if transition.value is None else canonical(transition.value),
    }  # fmt: skip
    data["billableMetricId"] = data.pop("metricId")
    subject = subject_of(transition.subject)
    if kind is AlertType.INVOICE_TOTAL_REACHED:
        data["invoiceId"] = transition.triggered_by
    elif kind in DAYS:
        data |= dict(subject)
    elif kind is AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED:
        data["seatId"] = transition.triggered_by
    elif subject:
        data["groupValues"] = [{"key": key, "value": value} for key, value in subject]
    emit(
        session, event_of(kind, told), data, occurred_at=now, now=now, subject_id=row.id,
        customer_id=transition.customer_id, once=f"alert:{transition.id}",
    )  # fmt: skip
