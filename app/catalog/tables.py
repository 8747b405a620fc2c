"""Rows of the catalog: metrics, products, rate cards and their dated rates."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.composite import composite_from_json, composite_to_json
from app.core.conversions import conversion_from_json, conversion_to_json, rounding_from_json, rounding_to_json
from app.core.outcomes import outcome_from_json, outcome_to_json
from app.core.rates import rate_from_json, rate_to_json
from app.core.sql_metric import query_from_json, query_to_json
from app.store.base import Row, Unique, exact, instant
from app.store.types import JsonOf

CONVERSION: Any = JsonOf(conversion_to_json, conversion_from_json)
COMPOSITE: Any = JsonOf(composite_to_json, composite_from_json)
ROUNDING: Any = JsonOf(rounding_to_json, rounding_from_json)


class MetricRow(Row, Unique, table=True):
    """How events become a quantity. The definition never changes; `filters` and `group_keys` as in the API.

    An SQL metric has its text in `sql` and what was made of it in `query`; the result's other columns are its one group
    key. Events of batches up to `events_before_batch` came before the metric existed: they are in no bucket until
    `buckets_ready`, and are read from the events themselves meanwhile.
    """

    __tablename__ = "metrics"
    name: str = Field(max_length=200)
    aggregation: str = Field(max_length=32)
    key: str | None = Field(default=None, max_length=200)
    event_types_in: list[str] | None = Field(default=None, sa_type=JSONB)
    event_types_not_in: list[str] | None = Field(default=None, sa_type=JSONB)
    filters: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    group_keys: list[list[str]] = Field(default_factory=list, sa_type=JSONB)
    money_currency: str | None = Field(default=None, max_length=3)
    money_currency_property: str | None = Field(default=None, max_length=200)
    outcome: Any = Field(default=None, sa_type=JsonOf(outcome_to_json, outcome_from_json), nullable=True)  # type: ignore[call-overload]
    sql: str | None = Field(default=None, sa_type=Text)
    query: Any = Field(default=None, sa_type=JsonOf(query_to_json, query_from_json), nullable=True)  # type: ignore[call-overload]
    events_before_batch: int = Field(default=0, sa_type=BigInteger)
    buckets_ready: bool = True
    archived_at: datetime | None = instant(default=None, nullable=True)


class ProductRow(Row, Unique, table=True):
    """What is sold. A USAGE product is measured by one metric, a COMPOSITE one is a percentage of others.

    The quantity of all other types stands on contracts.
    """

    __tablename__ = "products"
    name: str = Field(max_length=200)
    type: str = Field(max_length=32)
    metric_id: UUID | None = Field(default=None, foreign_key="metrics.id")
    pricing_group_key: list[str] = Field(default_factory=list, sa_type=JSONB)
    presentation_group_key: list[str] = Field(default_factory=list, sa_type=JSONB)
    tags: list[str] = Field(default_factory=list, sa_type=JSONB)
    conversion: Any = Field(default=None, sa_type=CONVERSION, nullable=True)
    rounding: Any = Field(default=None, sa_type=ROUNDING, nullable=True)
    composite_product_ids: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    composite_tags: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    exclude_free_usage: bool = False
    composite_scope: str = Field(default="CONTRACT", max_length=16)
    sql_breakdown_granularity: str = Field(default="HOUR", max_length=16)
    archived_at: datetime | None = instant(default=None, nullable=True)


class ProductVersion(Row, table=True):
    """A change of a product from an hour on: name, tags, composite, measuring, group keys; what is empty stays as it was.

    Rows are only added; `added` counts them per product, and of two at one instant the later goes over the earlier.
    """

    __tablename__ = "product_versions"
    __table_args__ = (UniqueConstraint("product_id", "added"),)
    product_id: UUID = Field(foreign_key="products.id")
    starting_at: datetime = instant()
    metric_id: UUID | None = Field(default=None, foreign_key="metrics.id")
    conversion: Any = Field(default=None, sa_type=CONVERSION, nullable=True)
    rounding: Any = Field(default=None, sa_type=ROUNDING, nullable=True)
    name: str | None = Field(default=None, max_length=200)
    tags: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    pricing_group_key: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    presentation_group_key: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]
    sql_breakdown_granularity: str | None = Field(default=None, max_length=16)
    composite: Any = Field(default=None, sa_type=COMPOSITE, nullable=True)
    added: int


class RateCard(Row, Unique, table=True):
    """A list of prices in one fiat currency. `product_order` lists product ids for the order of invoice lines.

    `conversions` are what one of each custom pricing unit is worth in the currency, by code, as canonical text.
    """

    __tablename__ = "rate_cards"
    name: str = Field(max_length=200)
    currency: str = Field(max_length=3)
    description: str | None = Field(default=None, max_length=2000)
    product_order: list[str] = Field(default_factory=list, sa_type=JSONB)
    conversions: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    archived_at: datetime | None = instant(default=None, nullable=True)


class RateRow(Row, table=True):
    """One effective-dated price. Rows are only added; `added` counts them per card, and the last added wins.

    `unit` is a custom pricing unit, empty for the card's currency; `minimum` is what a percentage costs at least.
    """

    __tablename__ = "rates"
    rate_card_id: UUID = Field(foreign_key="rate_cards.id", index=True)
    product_id: UUID = Field(foreign_key="products.id", index=True)
    rate: Any = Field(sa_type=JsonOf(rate_to_json, rate_from_json))  # type: ignore[call-overload]
    starting_at: datetime | None = instant(default=None, nullable=True)
    ending_before: datetime | None = instant(default=None, nullable=True)
    entitled: bool = True
    group_values: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    commit_rate: Any = Field(default=None, sa_type=JsonOf(rate_to_json, rate_from_json), nullable=True)  # type: ignore[call-overload]
    unit: str | None = Field(default=None, max_length=16)
    minimum: Decimal | None = exact(default=None, nullable=True)
    billing_frequency: str | None = Field(default=None, max_length=16)
    added: int


class PricingUnit(Row, Unique, table=True):
    """A unit of the seller's own in which usage is priced and balances are kept, such as tokens. `code` never changes."""

    __tablename__ = "pricing_units"
    code: str = Field(max_length=16, unique=True)
    name: str = Field(max_length=200)
    archived_at: datetime | None = instant(default=None, nullable=True)


class RateCardAlias(Row, table=True):
    """A name under which a rate card is found for a time; the database lets a name have one holder at a time."""

    __tablename__ = "rate_card_aliases"
    rate_card_id: UUID = Field(foreign_key="rate_cards.id", index=True)
    name: str = Field(max_length=128)
    starting_at: datetime | None = instant(default=None, nullable=True)
    ending_before: datetime | None = instant(default=None, nullable=True)
