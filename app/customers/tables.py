"""Rows of the customers slice: customers, their ingest aliases, and how each is billed by which provider."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.store.base import Row, Unique, instant


class Customer(Row, Unique, table=True):
    """Who is billed. `external_id` is the caller's own name for it and is an ingest alias as well."""

    __tablename__ = "customers"
    name: str = Field(max_length=200)
    external_id: str | None = Field(default=None, max_length=128, unique=True)
    archived_at: datetime | None = instant(default=None, nullable=True)


class IngestAlias(Row, table=True):
    """Another reference under which usage of a customer arrives; it belongs to one customer at a time."""

    __tablename__ = "ingest_aliases"
    alias: str = Field(max_length=128, unique=True)
    customer_id: UUID = Field(foreign_key="customers.id", index=True)


class BillingConfiguration(Row, Unique, table=True):
    """A customer's side of one provider account. `connection` names the account; at most one is the default."""

    __tablename__ = "billing_configurations"
    __table_args__ = (
        Index(
            "uq_billing_configurations_default",
            "customer_id",
            unique=True,
            postgresql_where=text("is_default and archived_at is null"),
        ),
    )
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    settings: dict[str, Any] = Field(sa_type=JSONB)
    is_default: bool = False
    archived_at: datetime | None = instant(default=None, nullable=True)
