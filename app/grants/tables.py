"""Rows of the grants slice: commits and credits, their segments of access, and the transfers between accounts."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.store.base import Row, Unique, exact, instant


class GrantRow(Row, Unique, table=True):
    """A commit or credit of a contract or, without one, of a customer. One key space holds for all of them.

    `contract_ids` are the contracts that one of a customer may pay for (empty: all), `invoice_contract_id` the one on
    which it is bought. `invoice` is its schedule of payment. A child of a recurring grant, and what rolled over from
    another grant, say where they come from. With `seat_id` it pays only for usage whose property `seat_key` names it;
    `unit_amount` is what one more unit of a subscription brings to a child in a whole period. A commit with a `gate`
    pays nothing before its payment was told to be made: the outcome is written once. `threshold_id` is what bought it.
    `child_access` tells which children of its contract draw on it too, none without it; `child_access_changes` what holds
    from later instants on, in the order of their making. With `is_refund` it gives back what was paid too much.
    """

    __tablename__ = "grants"
    __table_args__ = (
        Index(
            "uq_grants_child",
            "recurring_id",
            "recurring_number",
            "seat_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("recurring_id is not null"),
        ),
        UniqueConstraint("rolled_from_id", "rolled_from_segment", "contract_id"),
        Index("ix_grants_unpaid", "gate", postgresql_where=text("gate is not null and gate_outcome is null")),
    )
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    contract_id: UUID | None = Field(default=None, foreign_key="contracts.id", index=True)
    type: str = Field(max_length=16)
    product_id: UUID | None = Field(default=None, foreign_key="products.id")
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    unit: str = Field(max_length=16)
    priority: Decimal = exact()
    product_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    tags: list[str] = Field(default_factory=list, sa_type=JSONB)
    specifiers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    contract_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    invoice_contract_id: UUID | None = Field(default=None, foreign_key="contracts.id")
    rate_type: str = Field(default="LIST_RATE", max_length=16)
    rollover_fraction: Decimal | None = exact(default=None, nullable=True)
    invoice: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    trueup_disabled: bool = False
    recurring_id: UUID | None = Field(default=None, foreign_key="recurring_grants.id")
    recurring_number: int | None = None
    seat_key: str | None = Field(default=None, max_length=200)
    seat_id: str | None = Field(default=None, max_length=200)
    unit_amount: Decimal | None = exact(default=None, nullable=True)
    rolled_from_id: UUID | None = Field(default=None, foreign_key="grants.id")
    rolled_from_segment: int | None = None
    gate: str | None = Field(default=None, max_length=16)
    gate_outcome: str | None = Field(default=None, max_length=16)
    gate_settled_at: datetime | None = instant(default=None, nullable=True)
    gate_reason: str | None = Field(default=None, max_length=500)
    threshold_id: UUID | None = Field(default=None, foreign_key="contract_thresholds.id", index=True)
    child_access: str | None = Field(default=None, max_length=16)
    child_contract_ids: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    child_access_changes: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    is_refund: bool = False
    revision: int = 1
    archived_at: datetime | None = instant(default=None, nullable=True)


class SegmentRow(Row, table=True):
    """A stretch of access: an amount that may be used from its start and before its end. Numbered from 0.

    One that was removed stays for the books and counts no more; its number is not given again.
    """

    __tablename__ = "grant_segments"
    __table_args__ = (UniqueConstraint("grant_id", "number"),)
    grant_id: UUID = Field(foreign_key="grants.id")
    number: int
    amount: Decimal = exact()
    starting_at: datetime = instant()
    ending_before: datetime = instant()
    removed_at: datetime | None = instant(default=None, nullable=True)


def account_of(grant_id: UUID, segment: int) -> str:
    """The name of a segment's account."""
    return f"segment:{grant_id}:{segment}"


class TransferRow(Row, table=True):
    """A movement of a positive amount from one account to another; rows are only ever added.

    Accounts are texts: `segment:<grant>:<number>`, `invoice:<id>`, `adjustment`, `canceled`. `grant_id` and `segment`
    name the segment in whose ledger it stands, `at` the instant under which it stands there.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        Index("ix_transfers_grant_id_segment", "grant_id", "segment"),
    )
    kind: str = Field(max_length=32)
    source: str = Field(max_length=80)
    target: str = Field(max_length=80)
    amount: Decimal = exact()
    grant_id: UUID = Field(foreign_key="grants.id")
    segment: int
    at: datetime = instant()
    invoice_id: UUID | None = Field(default=None, foreign_key="invoices.id", index=True)
    contract_id: UUID | None = Field(default=None, foreign_key="contracts.id")
    reason: str | None = Field(default=None, max_length=500)


class RecurringGrantRow(Row, table=True):
    """Makes a grant for every period. Amounts and dates of children are fixed when their period begins.

    Without `frequency` the periods are those of the contract's statements; `duration` is how many of them a child may
    be used for.
    """

    __tablename__ = "recurring_grants"
    contract_id: UUID = Field(foreign_key="contracts.id", index=True)
    type: str = Field(max_length=16)
    product_id: UUID | None = Field(default=None, foreign_key="products.id")
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    unit: str = Field(max_length=16)
    access_unit_price: Decimal = exact()
    access_quantity: Decimal = exact()
    invoice_unit: str | None = Field(default=None, max_length=16)
    invoice_unit_price: Decimal | None = exact(default=None, nullable=True)
    invoice_quantity: Decimal | None = exact(default=None, nullable=True)
    starting_at: datetime = instant()
    ending_before: datetime | None = instant(default=None, nullable=True)
    frequency: str | None = Field(default=None, max_length=16)
    duration: int = 1
    proration: str = Field(default="FIRST_AND_LAST", max_length=16)
    priority: Decimal = exact()
    product_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    tags: list[str] = Field(default_factory=list, sa_type=JSONB)
    specifiers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    rate_type: str = Field(default="LIST_RATE", max_length=16)
    rollover_fraction: Decimal | None = exact(default=None, nullable=True)
    subscription_id: UUID | None = None
    allocation: str | None = Field(default=None, max_length=16)
    prorate_seat_increases: bool = False
    child_access: str | None = Field(default=None, max_length=16)
    child_contract_ids: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    revision: int = 1
    archived_at: datetime | None = instant(default=None, nullable=True)
