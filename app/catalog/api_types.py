"""How metrics and products are shown.

Owns their GraphQL types; definitions are shown as they were given. Rate cards and prices are in `api_rates.py`.
"""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.catalog import states, tables
from app.catalog.api_composites import Composite, composite_shown
from app.catalog.api_measuring import (
    QuantityConversion,
    QuantityRounding,
    SqlBreakdownGranularity,
    conversion_shown,
    rounding_shown,
)
from app.catalog.composites import composite_of
from app.core.outcomes import LatestState, Sessions, window_text
from app.core.terms import Aggregation as CoreAggregation
from app.core.terms import ProductType as CoreProductType
from app.core.terms import SqlGranularity
from app.custom_fields.api_types import HasCustomFields
from app.graphql.context import Info
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.scalars import CurrencyCode
from app.graphql.values import described_enum

Aggregation = described_enum(
    CoreAggregation,
    description="How the events of a metric become a quantity.",
    sentences={
        CoreAggregation.COUNT: "The number of events.",
        CoreAggregation.SUM: "The sum of one property; negative values take usage back.",
        CoreAggregation.MAX: "The highest value of one property in a statement period; only a new high is billed.",
        CoreAggregation.UNIQUE: "How many different values of one property there were in a statement period.",
        CoreAggregation.LATEST: "The latest value of one property; billed as it moves, down as well as up.",
        CoreAggregation.SESSION_COUNT: "How many sessions began: each lasts a fixed time from its first event.",
        CoreAggregation.COUNT_LATEST: "How many cases count by the latest of their states; one that flips comes off again.",
        CoreAggregation.SQL: "What a query says; billed as its value moves, down as well as up.",
    },
)
ProductType = described_enum(
    CoreProductType,
    description="What a product is.",
    sentences={
        CoreProductType.USAGE: "Usage that a metric measures, priced on a rate card.",
        CoreProductType.COMPOSITE: "A percentage of the charges for other products, priced on a rate card.",
        CoreProductType.SUBSCRIPTION: "A quantity on the contract that is paid for by the period, priced on a rate card.",
        CoreProductType.FIXED: "An amount that a contract charges on given dates.",
        CoreProductType.PRO_SERVICE: "A professional service, charged on given dates of a contract.",
    },
)


LOADERS["product.versions"] = rows_by(tables.ProductVersion, "product_id")


@strawberry.type(description="A condition on one property of an event; every given part must hold.")
class PropertyFilter:
    property: str = strawberry.field(description="Name of the property.")
    exists: bool | None = strawberry.field(description="Whether the property must be there; null leaves it open.")
    in_: list[str] | None = strawberry.field(name="in", description="Values of which it must have one.")
    not_in: list[str] | None = strawberry.field(description="Values of which it must have none.")


@strawberry.type(description="What makes the quantity of a metric money: a currency, or the property that names it.")
class MeasuredMoney:
    currency: CurrencyCode | None = strawberry.field(description="The currency of every value.")
    currency_property: str | None = strawberry.field(description="The property that names the currency of a value.")


@strawberry.type(
    description="What SESSION_COUNT counts: a session of a participant lasts a fixed time from its first event, and is "
    "billed where it began."
)
class SessionDefinition:
    key: list[str] = strawberry.field(description="The properties that together tell participants apart.")
    window: str = strawberry.field(description="How long a session lasts, as ISO 8601 writes it.")


@strawberry.type(
    description="What COUNT_LATEST counts: cases by their latest state. One that was billed in an earlier statement of "
    "the contract and flips is taken back where it flips; one that is confirmed again counts no second time."
)
class LatestStateDefinition:
    entity_property: str = strawberry.field(description="The property that names a case.")
    state_property: str = strawberry.field(description="The property that holds its state.")
    counted_states: list[str] = strawberry.field(description="The states that count.")


@node_type(
    "metric", of=tables.MetricRow, scope="catalog:read",
    description="How raw events become a quantity. Its definition never changes.",
)  # fmt: skip
class BillableMetric(Node, HasCustomFields):
    name: str = strawberry.field(description="What people call it.")
    aggregation: Aggregation = strawberry.field(description="How events become a quantity.")  # type: ignore[valid-type]
    group_keys: list[list[str]] = strawberry.field(
        description="Compound keys, each a list of properties, by which its usage may be split."
    )
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made; earlier events count all the same.")
    archived_at: datetime | None = strawberry.field(description="From when on no new product may use it.")

    sql: str | None = strawberry.field(description="The query, as it was written; null for metrics without one.")

    @strawberry.field(description="The property that is read; null for those that read none.")
    def aggregation_key(self, row: strawberry.Parent[tables.MetricRow]) -> str | None:
        return row.key

    @strawberry.field(description="Event types that count; null for all.")
    def event_types(self, row: strawberry.Parent[tables.MetricRow]) -> list[str] | None:
        return row.event_types_in

    @strawberry.field(description="Event types that do not count; null for none.")
    def event_types_not_in(self, row: strawberry.Parent[tables.MetricRow]) -> list[str] | None:
        return row.event_types_not_in

    @strawberry.field(description="What makes its quantity money; null when it is none.")
    def money(self, row: strawberry.Parent[tables.MetricRow]) -> MeasuredMoney | None:
        if row.money_currency is None and row.money_currency_property is None:
            return None
        currency = None if row.money_currency is None else CurrencyCode(row.money_currency)
        return MeasuredMoney(currency=currency, currency_property=row.money_currency_property)

    @strawberry.field(description="What SESSION_COUNT counts; null for all others.")
    def session(self, row: strawberry.Parent[tables.MetricRow]) -> SessionDefinition | None:
        if not isinstance(row.outcome, Sessions):
            return None
        return SessionDefinition(key=list(row.outcome.keys), window=window_text(row.outcome.window))

    @strawberry.field(description="What COUNT_LATEST counts; null for all others.")
    def latest_state(self, row: strawberry.Parent[tables.MetricRow]) -> LatestStateDefinition | None:
        found = row.outcome
        if not isinstance(found, LatestState):
            return None
        return LatestStateDefinition(
            entity_property=found.entity, state_property=found.state, counted_states=list(found.counted)
        )

    @strawberry.field(description="Conditions on properties; an event must meet all of them.")
    def filters(self, row: strawberry.Parent[tables.MetricRow]) -> list[PropertyFilter]:
        return [
            PropertyFilter(
                property=item["name"],
                exists=item.get("exists"),
                in_=item.get("in_values") or None,
                not_in=item.get("not_in_values") or None,
            )
            for item in row.filters
        ]


@strawberry.type(description="A change of a product, from an hour on.")
class ProductVersion:
    name: str | None = strawberry.field(description="Its name from then on; null: as before.")
    tags: list[str] | None = strawberry.field(description="Its labels from then on; null: as before.")
    starting_at: datetime = strawberry.field(description="From when on it holds.")
    created_at: datetime = strawberry.field(description="When it was added; of two at one instant the later counts.")

    @strawberry.field(description="The metric from then on; null: as before.")
    async def metric(self, info: Info, row: strawberry.Parent[tables.ProductVersion]) -> BillableMetric | None:
        return None if row.metric_id is None else await info.context.load("metric", row.metric_id)

    @strawberry.field(description="The conversion from then on; null: as before.")
    def quantity_conversion(self, row: strawberry.Parent[tables.ProductVersion]) -> QuantityConversion | None:
        return conversion_shown(row.conversion)

    @strawberry.field(description="The rounding from then on; null: as before.")
    def quantity_rounding(self, row: strawberry.Parent[tables.ProductVersion]) -> QuantityRounding | None:
        return rounding_shown(row.rounding)

    @strawberry.field(description="Properties that decide the price from then on; null: as before.")
    def pricing_group_key(self, row: strawberry.Parent[tables.ProductVersion]) -> list[str] | None:
        return row.pricing_group_key

    @strawberry.field(description="Properties by which lines are split from then on; null: as before.")
    def presentation_group_key(self, row: strawberry.Parent[tables.ProductVersion]) -> list[str] | None:
        return row.presentation_group_key

    @strawberry.field(description="How an SQL metric is spread from then on; null: as before.")
    def sql_breakdown_granularity(
        self, row: strawberry.Parent[tables.ProductVersion]
    ) -> SqlBreakdownGranularity | None:  # type: ignore[valid-type]
        return None if row.sql_breakdown_granularity is None else SqlGranularity(row.sql_breakdown_granularity)

    @strawberry.field(description="What a composite product is a percentage of from then on; null: as before.")
    def composite(self, row: strawberry.Parent[tables.ProductVersion]) -> Composite | None:
        return composite_shown(row.composite)


@strawberry.type(description="What a product is at one time: the parts of it that may change.")
class ProductState:
    state: strawberry.Private[states.ProductState]

    @strawberry.field(description="Its name.")
    def name(self) -> str:
        return self.state.name

    @strawberry.field(description="Its labels.")
    def tags(self) -> list[str]:
        return list(self.state.tags)

    @strawberry.field(description="The metric that measures it; null when nothing does.")
    async def metric(self, info: Info) -> BillableMetric | None:
        return None if self.state.metric_id is None else await info.context.load("metric", self.state.metric_id)

    @strawberry.field(description="How its quantity is converted; null: not at all.")
    def quantity_conversion(self) -> QuantityConversion | None:
        return conversion_shown(self.state.conversion)

    @strawberry.field(description="How the quantity of a statement is rounded; null: not at all.")
    def quantity_rounding(self) -> QuantityRounding | None:
        return rounding_shown(self.state.rounding)

    @strawberry.field(description="Properties whose combination of values decides the price.")
    def pricing_group_key(self) -> list[str]:
        return list(self.state.pricing_group_key)

    @strawberry.field(description="Properties by which lines are split.")
    def presentation_group_key(self) -> list[str]:
        return list(self.state.presentation_group_key)

    @strawberry.field(description="How the quantity of an SQL metric is spread over a statement; HOUR for all others.")
    def sql_breakdown_granularity(self) -> SqlBreakdownGranularity:  # type: ignore[valid-type]
        return self.state.granularity

    @strawberry.field(description="What a composite product is a percentage of; else null.")
    def composite(self) -> Composite | None:
        return composite_shown(self.state.composite)


async def _current(info: Info, row: tables.ProductRow) -> states.ProductState:
    return states.state_at(row, await info.context.load("product.versions", row.id), info.context.now)


@node_type("product", of=tables.ProductRow, scope="catalog:read", description="What is sold.")
class Product(Node, HasCustomFields):
    type: ProductType = strawberry.field(description="What it is.")  # type: ignore[valid-type]
    pricing_group_key: list[str] = strawberry.field(
        description="Properties whose combination of values decides the price at first."
    )
    presentation_group_key: list[str] = strawberry.field(
        description="Properties by which lines are split at first; quantities and tiers are counted for each value."
    )
    sql_breakdown_granularity: SqlBreakdownGranularity = strawberry.field(  # type: ignore[valid-type]
        description="How the quantity of an SQL metric is spread over a statement at first; HOUR for all others."
    )
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on no new rate may name it.")

    @strawberry.field(description="Its name now, as new lines of invoices show it.")
    async def name(self, info: Info, row: strawberry.Parent[tables.ProductRow]) -> str:
        return (await _current(info, row)).name

    @strawberry.field(description="Its labels now.")
    async def tags(self, info: Info, row: strawberry.Parent[tables.ProductRow]) -> list[str]:
        return list((await _current(info, row)).tags)

    @strawberry.field(description="What a composite product is a percentage of at first; else null.")
    def composite(self, row: strawberry.Parent[tables.ProductRow]) -> Composite | None:
        return composite_shown(composite_of(row))

    @strawberry.field(description="How its quantity is converted at first; null: not at all.")
    def quantity_conversion(self, row: strawberry.Parent[tables.ProductRow]) -> QuantityConversion | None:
        return conversion_shown(row.conversion)

    @strawberry.field(description="How the quantity of a statement is rounded at first; null: not at all.")
    def quantity_rounding(self, row: strawberry.Parent[tables.ProductRow]) -> QuantityRounding | None:
        return rounding_shown(row.rounding)

    @strawberry.field(description="What it was made as, before all changes.")
    def initial(self, row: strawberry.Parent[tables.ProductRow]) -> ProductState:
        return ProductState(state=states.state_at(row, (), row.created_at))

    @strawberry.field(description="What it is now, after the changes that have begun.")
    async def current(self, info: Info, row: strawberry.Parent[tables.ProductRow]) -> ProductState:
        return ProductState(state=await _current(info, row))

    @strawberry.field(description="Its changes, at most 100, in the order in which they were added.")
    async def versions(self, info: Info, row: strawberry.Parent[tables.ProductRow]) -> list[ProductVersion]:
        return await info.context.load("product.versions", row.id)

    @strawberry.field(description="The metric that measures it at first.")
    async def metric(self, info: Info, row: strawberry.Parent[tables.ProductRow]) -> BillableMetric | None:
        return None if row.metric_id is None else await info.context.load("metric", row.metric_id)
