"""Rows of the contracts slice: the agreement with a customer, its period of validity, its statements, its prices."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from app.core.overrides import change_from_json, change_to_json
from app.core.scheduled import schedule_from_json, schedule_to_json
from app.store.base import Row, Unique, exact, instant
from app.store.types import JsonOf


class Contract(Row, Unique, table=True):
    """One agreement. Without a rate card it has only fixed terms; `ending_before` empty means open-ended.

    A child names its `parent_id`, its `payer` and how its usage statements go out; a parent may say whether it puts
    statements together. All of that is said once, when the contract is made.
    """

    __tablename__ = "contracts"
    __table_args__ = (Index("ix_contracts_children", "customer_id", postgresql_where=text("parent_id is not null")),)
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    rate_card_id: UUID | None = Field(default=None, foreign_key="rate_cards.id", index=True)
    name: str | None = Field(default=None, max_length=200)
    currency: str = Field(max_length=3)
    starting_at: datetime = instant()
    ending_before: datetime | None = instant(default=None, nullable=True)
    statement_frequency: str = Field(default="MONTHLY", max_length=16)
    statement_day: str = Field(default="FIRST_OF_MONTH", max_length=16)
    statement_anchor: datetime | None = instant(default=None, nullable=True)
    generate_from: datetime | None = instant(default=None, nullable=True)
    grace_hours: int = 24
    priority: int = 100
    net_payment_terms_days: int | None = None
    billing_configuration_id: UUID | None = Field(default=None, foreign_key="billing_configurations.id")
    override_priority: str = Field(default="LOWEST_MULTIPLIER", max_length=32)
    consolidate_charges: bool = False
    package_id: UUID | None = Field(default=None, foreign_key="packages.id", index=True)
    parent_id: UUID | None = Field(default=None, foreign_key="contracts.id", index=True)
    payer: str | None = Field(default=None, max_length=8)
    usage_statements: str | None = Field(default=None, max_length=16)
    consolidation: str | None = Field(default=None, max_length=16)
    revision: int = 1
    archived_at: datetime | None = instant(default=None, nullable=True)


class PackageRow(Row, Unique, table=True):
    """A contract that is still to be signed, by whomever: what a create says, with dates told from its start.

    `provider` and `connection` are those of the one billing configuration which the customer must have. Dates are counted
    from `billing_anchor`.
    """

    __tablename__ = "packages"
    name: str = Field(max_length=200)
    definition: dict[str, Any] = Field(sa_type=JSONB)
    provider: str | None = Field(default=None, max_length=64)
    connection: str | None = Field(default=None, max_length=128)
    billing_anchor: str = Field(default="CONTRACT_START_DATE", max_length=32)
    archived_at: datetime | None = instant(default=None, nullable=True)


class PackageAlias(Row, table=True):
    """A name under which a package is found for a time; the database lets a name have one holder at a time."""

    __tablename__ = "package_aliases"
    package_id: UUID = Field(foreign_key="packages.id", index=True)
    name: str = Field(max_length=128)
    starting_at: datetime | None = instant(default=None, nullable=True)
    ending_before: datetime | None = instant(default=None, nullable=True)


class BillingConfigurationUpdateRow(Row, table=True):
    """From the start of one of its statement periods on, a contract's invoices go through another billing configuration.

    Without one they go through the customer's default. Before the first update the contract's own choice holds.
    """

    __tablename__ = "billing_configuration_updates"
    __table_args__ = (UniqueConstraint("contract_id", "starting_at"),)
    contract_id: UUID = Field(foreign_key="contracts.id")
    starting_at: datetime = instant()
    billing_configuration_id: UUID | None = Field(default=None, foreign_key="billing_configurations.id")


class OverrideRow(Row, table=True):
    """A contract's own change of list prices. It targets a product, or any of some tags, or what its specifiers say.

    With none of the three it reaches every product. A commit-specific one prices only what is drawn from a balance.
    `added` counts the overrides of a contract. One that was removed stays for the lines of final invoices that name it.
    """

    __tablename__ = "overrides"
    __table_args__ = (UniqueConstraint("contract_id", "added"),)
    contract_id: UUID = Field(foreign_key="contracts.id")
    product_id: UUID | None = Field(default=None, foreign_key="products.id")
    tags: list[str] = Field(default_factory=list, sa_type=JSONB)
    specifiers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    starting_at: datetime | None = instant(default=None, nullable=True)
    ending_before: datetime | None = instant(default=None, nullable=True)
    change: Any = Field(default=None, sa_type=JsonOf(change_to_json, change_from_json), nullable=True)  # type: ignore[call-overload]
    entitled: bool | None = None
    priority: int | None = None
    is_commit_specific: bool = False
    target: str = Field(default="LIST_RATE", max_length=16)
    added: int
    removed_at: datetime | None = instant(default=None, nullable=True)


class UsageFilterRow(Row, table=True):
    """From an hour on, a contract takes only usage whose property has one of the values. Rows are only added.

    `added` counts them per contract, and of two at one instant the later counts.
    """

    __tablename__ = "usage_filters"
    __table_args__ = (UniqueConstraint("contract_id", "added"),)
    contract_id: UUID = Field(foreign_key="contracts.id")
    starting_at: datetime = instant()
    key: str = Field(max_length=200)
    values: list[str] = Field(sa_type=JSONB)
    added: int


class ScheduledChargeRow(Row, Unique, table=True):
    """A fixed amount on given dates, of a product that is priced on the contract; that of a discount comes off.

    `added` counts those of a contract.

    One that was archived stays for the lines of void invoices that name it, and charges nothing.
    """

    __tablename__ = "scheduled_charges"
    __table_args__ = (UniqueConstraint("contract_id", "added"),)
    contract_id: UUID = Field(foreign_key="contracts.id")
    product_id: UUID = Field(foreign_key="products.id")
    unit: str = Field(max_length=16)
    schedule: Any = Field(sa_type=JsonOf(schedule_to_json, schedule_from_json))  # type: ignore[call-overload]
    is_discount: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    added: int
    archived_at: datetime | None = instant(default=None, nullable=True)


class SubscriptionRow(Row, Unique, table=True):
    """A quantity that is paid for by the period. Without an end it ends with the contract.

    `quantity_updates` hold the history of the quantity after the initial one. From `seats_from` on it is made of seats:
    who had one then, and how many were free, stands here, and `seat_changes` hold what came after.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (UniqueConstraint("contract_id", "added"),)
    contract_id: UUID = Field(foreign_key="contracts.id")
    product_id: UUID = Field(foreign_key="products.id")
    name: str | None = Field(default=None, max_length=200)
    frequency: str = Field(max_length=16)
    collection: str = Field(max_length=16)
    placement: str = Field(max_length=32)
    anchor: datetime | None = instant(default=None, nullable=True)
    starting_at: datetime = instant()
    ending_before: datetime | None = instant(default=None, nullable=True)
    initial_quantity: Decimal = exact()
    prorate: bool = True
    increases: str = Field(max_length=32)
    rounding_method: str | None = Field(default=None, max_length=16)
    rounding_places: int | None = None
    seats_from: datetime | None = instant(default=None, nullable=True)
    seat_group_key: str | None = Field(default=None, max_length=200)
    seat_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    unassigned_seats: int = 0
    added: int


class QuantityUpdateRow(Row, Unique, table=True):
    """A change of a subscription's quantity from an hour on, to a quantity or by a difference; rows are only added."""

    __tablename__ = "quantity_updates"
    __table_args__ = (UniqueConstraint("subscription_id", "added"),)
    subscription_id: UUID = Field(foreign_key="subscriptions.id")
    starting_at: datetime = instant()
    quantity: Decimal | None = exact(default=None, nullable=True)
    delta: Decimal | None = exact(default=None, nullable=True)
    added: int


class SeatChangeRow(Row, Unique, table=True):
    """Seats given and taken from an hour on; `unassigned` is negative where free ones are taken away. Only added."""

    __tablename__ = "seat_changes"
    __table_args__ = (UniqueConstraint("subscription_id", "added"),)
    subscription_id: UUID = Field(foreign_key="subscriptions.id")
    starting_at: datetime = instant()
    add: list[str] = Field(default_factory=list, sa_type=JSONB)
    remove: list[str] = Field(default_factory=list, sa_type=JSONB)
    unassigned: int = 0
    added: int


class TransitionRow(Row, table=True):
    """A contract that follows another of its customer, which ends where it starts (`at`).

    `true_ups` tells what becomes of the true-ups of the one before. `settled_at` is when the books of a renewal were
    posted: what rolls over is known when the last usage statement before it is final. One that does not roll over
    is settled from the start.
    """

    __tablename__ = "contract_transitions"
    contract_id: UUID = Field(foreign_key="contracts.id", unique=True)
    from_id: UUID = Field(foreign_key="contracts.id", index=True)
    type: str = Field(max_length=16)
    true_ups: str = Field(max_length=16)
    at: datetime = instant()
    settled_at: datetime | None = instant(default=None, nullable=True)


class ThresholdRow(Row, table=True):
    """What a contract watches (`kind`), and the commit that it buys when it is reached; one of each kind counts.

    One that was replaced or removed stays, because commits name it. A payment that fails disables it and says why.
    """

    __tablename__ = "contract_thresholds"
    __table_args__ = (
        Index(
            "uq_contract_thresholds_kind",
            "contract_id",
            "kind",
            unique=True,
            postgresql_where=text("removed_at is null"),
        ),
    )
    contract_id: UUID = Field(foreign_key="contracts.id", index=True)
    kind: str = Field(max_length=16)
    is_enabled: bool = True
    amount: Decimal = exact()
    recharge_to: Decimal | None = exact(default=None, nullable=True)
    unit: str = Field(max_length=16)
    product_id: UUID = Field(foreign_key="products.id")
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    priority: Decimal | None = exact(default=None, nullable=True)
    product_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    tags: list[str] = Field(default_factory=list, sa_type=JSONB)
    specifiers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    access_months: int = 12
    gate: str | None = Field(default=None, max_length=16)
    stopped_because: str | None = Field(default=None, max_length=500)
    removed_at: datetime | None = instant(default=None, nullable=True)


class ThresholdTouch(SQLModel, table=True):
    """New usage of a contract that watches a threshold, to be looked at; removed when that was done.

    Rows are added by ingest and wait for nobody, so two batches of one customer never stand in each other's way.
    """

    __tablename__ = "threshold_touches"
    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    contract_id: UUID = Field(foreign_key="contracts.id")


class ContractEditRow(Row, Unique, table=True):
    """What one change of a contract changed, what it was and who asked for it. Rows are only added.

    `changes` name each row of its terms with the columns that changed, before and after; `before` is null for a new one.
    `amends_from` is the start of an amendment.
    """

    __tablename__ = "contract_edits"
    contract_id: UUID = Field(foreign_key="contracts.id", index=True)
    actor_kind: str = Field(max_length=16)
    actor_name: str = Field(max_length=200)
    action: str = Field(max_length=64)
    changes: list[dict[str, Any]] = Field(sa_type=JSONB)
    amends_from: datetime | None = instant(default=None, nullable=True)
