"""Rows of the access slice: API keys, the audit log, and answers kept for idempotency keys."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.store.base import Row, instant


class ApiKey(Row, table=True):
    """A caller. The secret itself is never stored: 256 random bits need no more than one SHA-256."""

    __tablename__ = "api_keys"
    name: str = Field(max_length=200)
    hint: str = Field(max_length=16)
    digest: str = Field(max_length=64, unique=True)
    scopes: list[str] = Field(sa_type=JSONB)
    customer_id: UUID | None = Field(default=None, index=True)
    expires_at: datetime | None = instant(default=None, nullable=True)
    revoked_at: datetime | None = instant(default=None, nullable=True)
    last_used_at: datetime | None = instant(default=None, nullable=True)


class AuditEntry(Row, table=True):
    """What one mutation did or was refused. Written unsealed with the change; the sealer adds the last three columns.

    A trigger refuses every other change and every removal.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_unsealed", "id", postgresql_where=text("sequence is null")),
        Index("ix_audit_entries_object_id", "object_id"),
    )
    actor_kind: str = Field(max_length=32)
    actor_name: str = Field(max_length=200)
    key_id: UUID | None = None
    ip_address: str | None = Field(default=None, max_length=64)
    user_agent: str | None = Field(default=None, max_length=400)
    request_id: str | None = Field(default=None, max_length=100)
    action: str = Field(max_length=100)
    outcome: str = Field(max_length=16)
    code: str | None = Field(default=None, max_length=64)
    object_kind: str | None = Field(default=None, max_length=64)
    object_id: UUID | None = None
    before: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))  # type: ignore[call-overload]
    after: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))  # type: ignore[call-overload]
    sequence: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    hash: str | None = Field(default=None, max_length=64)
    sealed_at: datetime | None = instant(default=None, nullable=True)


class IdempotencyRecord(Row, table=True):
    """A complete answer, kept for a day so that a repeated request gets it again instead of acting twice."""

    __tablename__ = "idempotency_records"
    __table_args__ = (UniqueConstraint("key_id", "key"), Index("ix_idempotency_records_created_at", "created_at"))
    key_id: UUID
    key: str = Field(max_length=255)
    fingerprint: str = Field(max_length=64)
    status: int
    media_type: str = Field(max_length=100)
    body: bytes = Field(sa_type=LargeBinary)
