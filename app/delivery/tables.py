"""Rows of the delivery slice: what is owed to which provider, what was sent, and what came back.

Intents (`DeliveryAttempt`, `MeteringSlot`) hold what will be sent, frozen before the call; receipts hold the answer.
Both are only ever added. `Delivery.status` and `MeteringSlot.status` are the running summary of them. Notices are what
providers tell by themselves; what an invoice looked like when it was read back is only ever added, too.
"""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.store.base import Row, exact, instant


class Delivery(Row, table=True):
    """The task of bringing one finalized invoice to its provider, exactly once."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_open",
            "next_attempt_at",
            postgresql_where=text("status in ('PENDING', 'SENDING', 'FAILED')"),
        ),
    )
    invoice_id: UUID = Field(foreign_key="invoices.id", unique=True)
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    billing_configuration_id: UUID = Field(foreign_key="billing_configurations.id", index=True)
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    mode: str = Field(max_length=16)
    status: str = Field(max_length=16, index=True)
    currency: str = Field(max_length=3)
    total: Decimal = exact()
    acknowledged: Decimal = exact()
    attempts: int = 0
    next_attempt_at: datetime | None = instant(default=None, nullable=True)
    provider_reference: str | None = Field(default=None, max_length=255)
    provider_status: str | None = Field(default=None, max_length=64)
    effective_at: datetime | None = instant(default=None, nullable=True)
    error_code: str | None = Field(default=None, max_length=64)
    error_message: str | None = Field(default=None, max_length=2000)
    error_hint: str | None = Field(default=None, max_length=2000)
    delivered_at: datetime | None = instant(default=None, nullable=True)
    updated_at: datetime = instant()


class DeliveryAttempt(Row, table=True):
    """The intent of one call: the document and the key, committed before the provider hears of it."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)
    delivery_id: UUID = Field(foreign_key="deliveries.id")
    number: int
    key: str = Field(max_length=255)
    document: dict[str, Any] = Field(sa_type=JSONB)


class DeliveryReceipt(Row, table=True):
    """What came of an attempt; an attempt without a receipt has an unknown effect."""

    __tablename__ = "delivery_receipts"
    attempt_id: UUID = Field(foreign_key="delivery_attempts.id", unique=True)
    outcome: str = Field(max_length=16)
    acknowledged: Decimal | None = exact(default=None, nullable=True)
    provider_reference: str | None = Field(default=None, max_length=255)
    provider_status: str | None = Field(default=None, max_length=64)
    code: str | None = Field(default=None, max_length=64)
    message: str | None = Field(default=None, max_length=2000)
    hint: str | None = Field(default=None, max_length=2000)
    request_ids: list[str] = Field(default_factory=list, sa_type=JSONB)


class MeteringSlot(Row, table=True):
    """One hour of one dimension at a marketplace: a quantity that is frozen before the call and never changes.

    `quantity` counts the listed unit (`unit_price` each). The slot is the intent; its receipts are beside it. From
    `deadline` on the marketplace takes it no more.
    """

    __tablename__ = "metering_slots"
    __table_args__ = (
        UniqueConstraint("billing_configuration_id", "dimension", "hour"),
        Index(
            "ix_metering_slots_open", "connection", "hour", postgresql_where=text("status in ('PENDING', 'SENDING')")
        ),
    )
    customer_id: UUID = Field(foreign_key="customers.id")
    billing_configuration_id: UUID = Field(foreign_key="billing_configurations.id")
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    dimension: str = Field(max_length=255)
    hour: datetime = instant()
    quantity: Decimal = exact()
    unit_price: Decimal = exact()
    currency: str = Field(max_length=3)
    owed: Decimal = exact()
    record: dict[str, Any] = Field(sa_type=JSONB)
    deadline: datetime | None = instant(default=None, nullable=True)
    status: str = Field(max_length=16)
    attempts: int = 0
    error_code: str | None = Field(default=None, max_length=64)
    error_message: str | None = Field(default=None, max_length=2000)
    error_hint: str | None = Field(default=None, max_length=2000)
    updated_at: datetime = instant()


class MeteringReceipt(Row, table=True):
    """What a marketplace answered for one slot in one call."""

    __tablename__ = "metering_receipts"
    slot_id: UUID = Field(foreign_key="metering_slots.id", index=True)
    outcome: str = Field(max_length=16)
    acknowledged: Decimal | None = exact(default=None, nullable=True)
    provider_reference: str | None = Field(default=None, max_length=255)
    code: str | None = Field(default=None, max_length=64)
    message: str | None = Field(default=None, max_length=2000)
    hint: str | None = Field(default=None, max_length=2000)
    request_ids: list[str] = Field(default_factory=list, sa_type=JSONB)


class ProviderNotice(Row, table=True):
    """One notice of a provider, kept once however often and by whatever way it came; `created_at` is when it came first.

    What it is about never changes; `state` and what follows say what was done about it.
    """

    __tablename__ = "provider_notices"
    __table_args__ = (
        UniqueConstraint("connection", "event_id"),
        Index("ix_provider_notices_open", "next_attempt_at", postgresql_where=text("state = 'RECEIVED'")),
        Index("ix_provider_notices_provider_reference", "connection", "provider_reference"),
    )
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    event_id: str = Field(max_length=255)
    kind: str = Field(max_length=128)
    occurred_at: datetime = instant()
    provider_reference: str | None = Field(default=None, max_length=255)
    reference: str | None = Field(default=None, max_length=64)
    is_foreign: bool = False
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    body_hash: str | None = Field(default=None, max_length=64)
    way: str = Field(max_length=16)
    state: str = Field(max_length=16)
    attempts: int = 0
    next_attempt_at: datetime | None = instant(default=None, nullable=True)
    handled_at: datetime | None = instant(default=None, nullable=True)
    error_code: str | None = Field(default=None, max_length=64)
    error_message: str | None = Field(default=None, max_length=2000)


class NoticeCursor(SQLModel, table=True):
    """How far the notices that a provider keeps were looked through, for each connection."""

    __tablename__ = "notice_cursors"
    connection: str = Field(primary_key=True, max_length=128)
    swept_until: datetime = instant()


class ExternalInvoiceState(Row, table=True):
    """How a provider showed one of our invoices when it was read back; a row for each change, the last one holds."""

    __tablename__ = "external_invoice_states"
    delivery_id: UUID = Field(foreign_key="deliveries.id", index=True)
    provider_reference: str = Field(max_length=255)
    provider_status: str = Field(max_length=64)
    payment: str | None = Field(default=None, max_length=16)
    amount: Decimal | None = exact(default=None, nullable=True)
    tax: Decimal | None = exact(default=None, nullable=True)
    amount_paid: Decimal | None = exact(default=None, nullable=True)
    due_at: datetime | None = instant(default=None, nullable=True)
    message: str | None = Field(default=None, max_length=2000)
    charge_reference: str | None = Field(default=None, max_length=255)


class MarketplaceSubscription(Row, table=True):
    """What one buyer subscribed to at a marketplace, as it was shown last. Without a customer it waits to be matched.

    `reference` is the marketplace's own id for it. `seen_at` orders notices of a marketplace that cannot be asked.
    """

    __tablename__ = "marketplace_subscriptions"
    __table_args__ = (UniqueConstraint("connection", "reference"),)
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    reference: str = Field(max_length=255)
    agreement: str = Field(default="", max_length=255, index=True)
    state: str = Field(max_length=16)
    provider_status: str = Field(max_length=64)
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    offer: str = Field(default="", max_length=255)
    plan: str = Field(default="", max_length=255)
    quantity: str = Field(default="", max_length=32)
    buyer: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    contact: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    customer_id: UUID | None = Field(default=None, foreign_key="customers.id", index=True)
    billing_configuration_id: UUID | None = Field(default=None, foreign_key="billing_configurations.id", index=True)
    seen_at: datetime | None = instant(default=None, nullable=True)
    refreshed_at: datetime = instant(index=True)
    activated_at: datetime | None = instant(default=None, nullable=True)
    ended_at: datetime | None = instant(default=None, nullable=True)
    metering_until: datetime | None = instant(default=None, nullable=True)
    error_code: str | None = Field(default=None, max_length=64)
    error_message: str | None = Field(default=None, max_length=2000)
    error_hint: str | None = Field(default=None, max_length=2000)
    updated_at: datetime = instant()


class ConnectionPause(SQLModel, table=True):
    """A provider account to which nothing is sent for a while; resuming takes the row away."""

    __tablename__ = "connection_pauses"
    connection: str = Field(primary_key=True, max_length=128)
    paused_at: datetime = instant()
    reason: str = Field(max_length=500)


class ConnectionPace(SQLModel, table=True):
    """When the next call of a provider account may begin, whichever process makes it; in the database's own time."""

    __tablename__ = "connection_paces"
    connection: str = Field(primary_key=True, max_length=128)
    next_at: datetime = instant()


class ReconciliationRow(Row, table=True):
    """One comparison of a provider account over a period: asked for, and what came of it.

    Sums are text by currency (`units` for usage). One that was not read whole may be carried out again in place.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_connection", "connection", "starting_at"),)
    provider: str = Field(max_length=64)
    connection: str = Field(max_length=128)
    starting_at: datetime = instant()
    ending_before: datetime = instant()
    is_scheduled: bool = False
    state: str = Field(max_length=16)
    finished_at: datetime | None = instant(default=None, nullable=True)
    compared: int = 0
    not_ours: int = 0
    problem: str | None = Field(default=None, max_length=2000)
    ours: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    theirs: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    difference_count: int = 0


class ReconciliationDifference(SQLModel, table=True):
    """One difference that a reconciliation found; of which kind, and what each side has."""

    __tablename__ = "reconciliation_differences"
    reconciliation_id: UUID = Field(foreign_key="reconciliations.id", primary_key=True)
    position: int = Field(primary_key=True)
    reason: str = Field(max_length=32)
    reference: str = Field(max_length=255)
    provider_references: list[str] = Field(default_factory=list, sa_type=JSONB)
    ours: Decimal | None = exact(default=None, nullable=True)
    theirs: Decimal | None = exact(default=None, nullable=True)
    currency: str | None = Field(default=None, max_length=3)
