"""Rows of the alerts slice: what is watched, where it stands with each customer, and every change of that."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from app.store.base import Row, Unique, exact, instant


class AlertRow(Row, Unique, table=True):
    """What is watched, for one customer or, without one, for all. Another threshold is another alert.

    `custom_field_filters` hold entity, key and value; `group_values` a key and a value, or null to watch each value by
    itself.
    """

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_live", "customer_id", postgresql_where=text("archived_at is null")),)
    name: str = Field(max_length=200)
    type: str = Field(max_length=64)
    threshold: Decimal = exact()
    unit: str | None = Field(default=None, max_length=16)
    customer_id: UUID | None = Field(default=None, foreign_key="customers.id")
    metric_id: UUID | None = Field(default=None, foreign_key="metrics.id")
    custom_field_filters: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    group_values: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    seat_key: str | None = Field(default=None, max_length=200)
    seat_value: str | None = Field(default=None, max_length=200)
    invoice_types: list[str] = Field(default_factory=list, sa_type=JSONB)
    hysteresis: Decimal | None = exact(default=None, nullable=True)
    evaluate_on_create: bool = True
    notify_on_resolve: bool = False
    disabled_at: datetime | None = instant(default=None, nullable=True)
    archived_at: datetime | None = instant(default=None, nullable=True)


class AlertStateRow(SQLModel, table=True):
    """Where a subject of an alert stands with a customer since `since`. The subject is JSON; `[]` is the whole customer.

    Without a row for the whole customer, the alert was not evaluated for it yet.
    """

    __tablename__ = "alert_states"
    __table_args__ = (Index("ix_alert_states_in_alarm", "customer_id", postgresql_where=text("state = 'IN_ALARM'")),)
    alert_id: UUID = Field(foreign_key="alerts.id", primary_key=True)
    customer_id: UUID = Field(primary_key=True)
    subject: str = Field(primary_key=True, max_length=1000)
    state: str = Field(max_length=16)
    value: Decimal | None = exact(default=None, nullable=True)
    triggered_by: str | None = Field(default=None, max_length=255)
    since: datetime = instant()
    resolved_at: datetime | None = instant(default=None, nullable=True)


class AlertTransitionRow(Row, table=True):
    """A change of a state. With `told` there is a notice of it. Rows are only ever added."""

    __tablename__ = "alert_transitions"
    __table_args__ = (Index("ix_alert_transitions_alert_id", "alert_id", "customer_id"),)
    alert_id: UUID = Field(foreign_key="alerts.id")
    customer_id: UUID
    subject: str = Field(max_length=1000)
    before: str = Field(max_length=16)
    after: str = Field(max_length=16)
    value: Decimal | None = exact(default=None, nullable=True)
    triggered_by: str | None = Field(default=None, max_length=255)
    told: str | None = Field(default=None, max_length=16)


class AlertTouch(SQLModel, table=True):
    """Something changed that alerts of a customer may read; removed in the transaction that looks at it.

    Ingest and the database's own triggers add rows, only where an alert watches, and wait for nobody.
    """

    __tablename__ = "alert_touches"
    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    customer_id: UUID
