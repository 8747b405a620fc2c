"""Rows of the notices slice: whom we tell, what was told, and every try at it."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.store.base import Row, Unique, instant


class WebhookEndpoint(Row, Unique, table=True):
    """An address that is told of events. Without `event_types` it is told of all.

    Secrets are stored sealed; the previous one signs as well until `previous_until`.
    """

    __tablename__ = "webhook_endpoints"
    url: str = Field(max_length=2000)
    description: str | None = Field(default=None, max_length=200)
    event_types: list[str] = Field(default_factory=list, sa_type=JSONB)
    sealed_secret: str = Field(max_length=500)
    sealed_previous: str | None = Field(default=None, max_length=500)
    previous_until: datetime | None = instant(default=None, nullable=True)
    is_enabled: bool = True
    disabled_at: datetime | None = instant(default=None, nullable=True)
    disabled_because: str | None = Field(default=None, max_length=500)
    archived_at: datetime | None = instant(default=None, nullable=True)


class Notice(Row, table=True):
    """Something that happened, said once: its id is the same in every try, and receivers tell repeats by it.

    `subject_id` is the object that it is about. With `once` it is never said again, whoever notices it first.
    """

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_subject_id_type", "subject_id", "type"),
        Index("ix_notices_created_at", "created_at"),
    )
    type: str = Field(max_length=100)
    occurred_at: datetime = instant()
    subject_id: UUID | None = None
    customer_id: UUID | None = Field(default=None, index=True)
    contract_id: UUID | None = None
    data: dict[str, Any] = Field(sa_type=JSONB)
    once: str | None = Field(default=None, max_length=255, unique=True)


class NoticeDelivery(Row, table=True):
    """The task of bringing one notice to one endpoint. `begun_at` is when its current tries began."""

    __tablename__ = "notice_deliveries"
    __table_args__ = (
        UniqueConstraint("notice_id", "endpoint_id"),
        Index(
            "ix_notice_deliveries_open", "endpoint_id", "next_attempt_at", postgresql_where=text("status = 'PENDING'")
        ),
    )
    notice_id: UUID = Field(foreign_key="notices.id")
    endpoint_id: UUID = Field(foreign_key="webhook_endpoints.id")
    status: str = Field(max_length=16)
    attempts: int = 0
    begun_at: datetime | None = instant(default=None, nullable=True)
    next_attempt_at: datetime | None = instant(default=None, nullable=True)
    delivered_at: datetime | None = instant(default=None, nullable=True)


class NoticeAttempt(Row, table=True):
    """One try: what the receiver answered, or why there was no answer."""

    __tablename__ = "notice_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)
    delivery_id: UUID = Field(foreign_key="notice_deliveries.id")
    number: int
    status_code: int | None = None
    error: str | None = Field(default=None, max_length=500)
    answer: str | None = Field(default=None, max_length=1000)
    milliseconds: int


class OffsetNotice(Row, Unique, table=True):
    """Events of a type are told again some time before or after them. It never changes."""

    __tablename__ = "offset_notices"
    name: str = Field(max_length=200)
    type: str = Field(max_length=100)
    length: str = Field(max_length=40)
    is_back: bool = False
    archived_at: datetime | None = instant(default=None, nullable=True)


class NoticeClock(SQLModel, table=True):
    """How far the calendar was looked through: for what begins and ends, what is told around that, and for alerts."""

    __tablename__ = "notice_clocks"
    name: str = Field(primary_key=True, max_length=32)
    told_until: datetime = instant()
