"""Rows of the invoices slice: finalized invoices and their lines, which the database keeps from ever changing."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, select

from app.store.base import Row, exact, instant


class Invoice(Row, table=True):
    """A finalized invoice: a fact. The id is derived from contract, type, start and regeneration.

    A scheduled invoice has a date, `starting_at`, and no end; `ordinal` counts those of one date and currency. With
    `purchase_of` it bills what is paid for that commit alone.

    `payer_contract_id` is the parent that pays for it; without one the contract pays for itself.
    `content_hash` is the digest of its content; what it was computed from stands in its `InvoiceInputs`.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint(
            "contract_id", "type", "starting_at", "currency", "ordinal", "regeneration", "purchase_of",
            name="uq_invoices_what_it_is_for", postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip
    number: int = Field(sa_type=BigInteger, unique=True)
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    contract_id: UUID = Field(foreign_key="contracts.id", index=True)
    billing_configuration_id: UUID | None = Field(default=None, foreign_key="billing_configurations.id", index=True)
    type: str = Field(max_length=32)
    regeneration: int = 0
    ordinal: int = 0
    starting_at: datetime = instant()
    ending_before: datetime | None = instant(default=None, nullable=True)
    issued_at: datetime = instant(index=True)
    due_at: datetime = instant()
    payment_due_at: datetime | None = instant(default=None, nullable=True)
    currency: str = Field(max_length=3)
    subtotal: Decimal = exact()
    total: Decimal = exact()
    content_hash: str = Field(max_length=64)
    purchase_of: UUID | None = Field(default=None, foreign_key="grants.id", index=True)
    payer_contract_id: UUID | None = Field(default=None, foreign_key="contracts.id", index=True)


def _comes_later() -> ForeignKey:
    """A reference to an invoice that is written after what it is made of, in the same transaction."""
    return ForeignKey("invoices.id", deferrable=True, initially="DEFERRED")


class InvoiceLine(SQLModel, table=True):
    """One line of a finalized invoice, in the order of `position`. Lines with `in_total` add up to the total."""

    __tablename__ = "invoice_lines"
    invoice_id: UUID = Field(primary_key=True, sa_column_args=[_comes_later()])
    position: int = Field(primary_key=True)
    type: str = Field(max_length=32)
    product_id: UUID | None = Field(default=None, foreign_key="products.id")
    product_name: str | None = Field(default=None, max_length=200)
    unit: str = Field(max_length=16)
    quantity: Decimal | None = exact(default=None, nullable=True)
    unit_price: Decimal | None = exact(default=None, nullable=True)
    amount: Decimal = exact()
    starting_at: datetime | None = instant(default=None, nullable=True)
    ending_before: datetime | None = instant(default=None, nullable=True)
    pricing: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    presentation: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    tier: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    rate_id: UUID | None = Field(default=None, foreign_key="rates.id")
    override_id: UUID | None = Field(default=None, foreign_key="overrides.id")
    in_total: bool = True
    grant_id: UUID | None = Field(default=None, foreign_key="grants.id")
    segment: int | None = None
    applied_to: str | None = Field(default=None, max_length=32)
    converted_unit: str | None = Field(default=None, max_length=16)
    subscription_id: UUID | None = Field(default=None, foreign_key="subscriptions.id")
    charge_id: UUID | None = Field(default=None, foreign_key="scheduled_charges.id")
    charged_at: datetime | None = instant(default=None, nullable=True)
    ordinal: int = 0
    per_event: str | None = Field(default=None, max_length=16)


class InvoiceInputs(SQLModel, table=True):
    """Everything that an invoice was computed from, frozen with it: terms, hourly usage, release, and their digest.

    `pots` are the segments of balances in sight, with what could be drawn from each.
    `unrated` is usage that no rate priced: it is on no line, and must not be forgotten. The events behind the usage may be dropped one day, and late ones may be added; the invoice can still be computed
    again to the same bytes.
    """

    __tablename__ = "invoice_inputs"
    invoice_id: UUID = Field(primary_key=True, sa_column_args=[_comes_later()])
    terms: dict[str, Any] = Field(sa_type=JSONB)
    usage: list[dict[str, Any]] = Field(sa_type=JSONB)
    unrated: list[dict[str, Any]] = Field(sa_type=JSONB)
    pots: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    ingest_batch: int = Field(sa_type=BigInteger)
    release: str = Field(max_length=64)
    digest: str = Field(max_length=64)


class InvoiceVoid(SQLModel, table=True):
    """An invoice that counts no more since `created_at`; it keeps its number. Rows are only ever added.

    `in_provider`: what was delivered is to be taken back at the provider as well.
    """

    __tablename__ = "invoice_voids"
    invoice_id: UUID = Field(foreign_key="invoices.id", primary_key=True)
    created_at: datetime = instant()
    reason: str = Field(max_length=500)
    in_provider: bool = False


IS_VOID = select(InvoiceVoid.invoice_id).where(InvoiceVoid.invoice_id == Invoice.id).correlate(Invoice).exists()
"""Condition on `Invoice`: it counts no more."""


class InvoiceRegeneration(SQLModel, table=True):
    """A void invoice, `source_id`, was made again as `invoice_id`; once at most. Rows are only ever added."""

    __tablename__ = "invoice_regenerations"
    invoice_id: UUID = Field(foreign_key="invoices.id", primary_key=True)
    source_id: UUID = Field(foreign_key="invoice_voids.invoice_id", unique=True)
    created_at: datetime = instant()


class InvoiceConstituent(SQLModel, table=True):
    """A final statement that goes out with a consolidated invoice, in the order of `position`. Rows are only ever added.

    A consolidated invoice has no lines of its own: it says what its constituents say.
    """

    __tablename__ = "invoice_constituents"
    __table_args__ = (UniqueConstraint("consolidated_id", "invoice_id"),)
    consolidated_id: UUID = Field(foreign_key="invoices.id", primary_key=True)
    position: int = Field(primary_key=True)
    invoice_id: UUID = Field(foreign_key="invoices.id", index=True)


class OutcomeReversal(Row, table=True):
    """An event that a final statement had billed, and that was taken back; once at most. Rows are only ever added.

    `event_id` is the digest of its transaction id. `amount` is the part of its money that was taken back, None is all.
    """

    __tablename__ = "outcome_reversals"
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    event_id: UUID = Field(unique=True)
    transaction_id: str = Field(max_length=256)
    occurred_at: datetime = instant()
    amount: Decimal | None = exact(default=None, nullable=True)
    reason: str = Field(max_length=500)


class ReversedStatement(SQLModel, table=True):
    """A final statement that had billed a reversed event, and how its usage is without it. Rows are only ever added."""

    __tablename__ = "reversed_statements"
    reversal_id: UUID = Field(foreign_key="outcome_reversals.id", primary_key=True)
    invoice_id: UUID = Field(foreign_key="invoices.id", primary_key=True, index=True)
    usage: list[dict[str, Any]] = Field(sa_type=JSONB)


class ReversalEntry(SQLModel, table=True):
    """What went back, by the transfer `transfer_id`: what the invoice had asked for, or a balance had paid (`paid_by_id`).

    Rows are only ever added.
    """

    __tablename__ = "reversal_entries"
    reversal_id: UUID = Field(foreign_key="outcome_reversals.id", primary_key=True)
    invoice_id: UUID = Field(foreign_key="invoices.id", primary_key=True, index=True)
    position: int = Field(primary_key=True)
    unit: str = Field(max_length=16)
    amount: Decimal = exact()
    paid_by_id: UUID | None = Field(default=None, foreign_key="grants.id")
    paid_by_segment: int | None = None
    grant_id: UUID = Field(foreign_key="grants.id", index=True)
    segment: int
    transfer_id: UUID = Field(foreign_key="transfers.id", unique=True)


class Counter(SQLModel, table=True):
    """The next invoice number; one row, taken last before commit so that numbers have no gaps."""

    __tablename__ = "counters"
    name: str = Field(primary_key=True, max_length=32)
    next: int = Field(sa_type=BigInteger)


class BillingRun(Row, table=True):
    """One billing run: what was due by `as_of` when it was asked for. How far it is stands in its contracts."""

    __tablename__ = "billing_runs"
    as_of: datetime = instant()
    actor_kind: str = Field(max_length=16)
    actor_name: str = Field(max_length=200)
    started_at: datetime | None = instant(default=None, nullable=True)


class BillingRunContract(SQLModel, table=True):
    """A contract of a run, done when `done_at` is set: in the transaction that made its invoices, or with a failure.

    `is_second`: it comes again when all others are done.
    """

    __tablename__ = "billing_run_contracts"
    __table_args__ = (
        Index("ix_billing_run_contracts_open", "run_id", "position", postgresql_where=text("done_at is null")),
    )
    run_id: UUID = Field(foreign_key="billing_runs.id", primary_key=True)
    position: int = Field(primary_key=True)
    contract_id: UUID = Field(foreign_key="contracts.id")
    is_second: bool = False
    done_at: datetime | None = instant(default=None, nullable=True)
    failure_code: str | None = Field(default=None, max_length=64)
    failure: str | None = None


class BillingRunInvoice(SQLModel, table=True):
    """An invoice and the run that made it."""

    __tablename__ = "billing_run_invoices"
    invoice_id: UUID = Field(foreign_key="invoices.id", primary_key=True)
    run_id: UUID = Field(foreign_key="billing_runs.id", index=True)


class DueCustomer(SQLModel, table=True):
    """Before `next_due_at` nothing of a customer falls due, as `release` works it out, unless a change is noted."""

    __tablename__ = "due_customers"
    customer_id: UUID = Field(primary_key=True)
    next_due_at: datetime = instant(index=True)
    release: str = Field(max_length=64)


class DueChange(SQLModel, table=True):
    """Something changed that may make an invoice of a customer fall due earlier; the database adds these rows."""

    __tablename__ = "due_changes"
    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=(Identity(always=True),), primary_key=True)
    customer_id: UUID = Field(index=True)


class LifetimeBilling(SQLModel, table=True):
    """What a customer's final invoices of one currency come to, void ones aside; moved with each that is made or voided."""

    __tablename__ = "lifetime_billings"
    customer_id: UUID = Field(foreign_key="customers.id", primary_key=True)
    currency: str = Field(max_length=3, primary_key=True)
    total: Decimal = exact()


class MovedIssueDate(SQLModel, table=True):
    """An open invoice that becomes final at another instant than its schedule says; it has the id of the draft."""

    __tablename__ = "moved_issue_dates"
    invoice_id: UUID = Field(primary_key=True)
    contract_id: UUID = Field(foreign_key="contracts.id", index=True)
    issue_at: datetime = instant()
