"""Rows of the usage slice that are handled one by one: the log of ingest calls.

Events, their ids and their buckets are written by COPY and read by SQL in `events_postgres.py`; their tables are
declared in the migration, since nothing ever loads them as objects.
"""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from app.store.base import instant


class IngestBatch(SQLModel, table=True):
    """One accepted ingest call: what came, through which door, and by whom. Ingest leaves no audit entry."""

    __tablename__ = "ingest_batches"
    number: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    received_at: datetime = instant(index=True)
    source: str = Field(max_length=32)
    key_id: UUID | None = None
    actor: str = Field(max_length=200)
    accepted: int
    duplicates: int
    conflicts: list[str] = Field(default_factory=list, sa_type=JSONB)


class LiveWatch(SQLModel, table=True):
    """A customer whose spend somebody watches until then, in the database's own time: its usage is told of."""

    __tablename__ = "live_watches"
    customer_id: UUID = Field(primary_key=True)
    until: datetime = instant()
