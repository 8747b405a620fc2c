"""Metrics, products and rate cards in GraphQL: what can be read and done.

Owns the fields; how objects look is in `api_types.py`, what callers send in `api_inputs.py`, the rules in the services.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import select

from app.catalog import metrics, rates, service, tables, versions
from app.catalog.api_inputs import (
    BillableMetricCreateInput,
    ProductCreateInput,
    RateCardCreateInput,
    RateInput,
    composite_of,
    money_of,
    new_rates,
    property_filters,
)
from app.catalog.api_measuring import ProductVersionInput, conversion_of, rounding_of
from app.catalog.api_rates import RateCard
from app.catalog.api_types import BillableMetric, Product
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.input(description="Which objects of the catalog to list; conditions add up.")
class CatalogFilter:
    search: str | None = strawberry.field(default=None, description="Part of the name, in any case.")
    include_archived: bool = strawberry.field(default=False, description="Archived ones too.")


Filter = Annotated[CatalogFilter | None, strawberry.argument(description="Which of them.")]


@strawberry.type(description="Answer to a mutation of a billable metric.")
class BillableMetricPayload(Payload):
    billable_metric: BillableMetric | None = strawberry.field(
        default=None, description="The metric; null after an error."
    )


@strawberry.type(description="Answer to a mutation of a product.")
class ProductPayload(Payload):
    product: Product | None = strawberry.field(default=None, description="The product; null after an error.")


@strawberry.type(description="Answer to a mutation of a rate card.")
class RateCardPayload(Payload):
    rate_card: RateCard | None = strawberry.field(default=None, description="The rate card; null after an error.")


@strawberry.type
class CatalogQuery:
    @query_field(scope="catalog:read", description="One billable metric; null when there is none.")
    async def billable_metric(self, info: Info, id: ID) -> BillableMetric | None:
        return await _one(info, id, tables.MetricRow)

    @query_field(scope="catalog:read", description="Billable metrics, by name.")
    async def billable_metrics(
        self, info: Info, filter: Filter = None, first: First = 25, after: After = None
    ) -> Connection[BillableMetric]:
        return await _list(info, tables.MetricRow, filter, first, after)

    @query_field(scope="catalog:read", description="One product; null when there is none.")
    async def product(self, info: Info, id: ID) -> Product | None:
        return await _one(info, id, tables.ProductRow)

    @query_field(scope="catalog:read", description="Products, by name.")
    async def products(
        self, info: Info, filter: Filter = None, first: First = 25, after: After = None
    ) -> Connection[Product]:
        return await _list(info, tables.ProductRow, filter, first, after)

    @query_field(scope="catalog:read", description="One rate card; null when there is none.")
    async def rate_card(self, info: Info, id: ID) -> RateCard | None:
        return await _one(info, id, tables.RateCard)

    @query_field(scope="catalog:read", description="Rate cards, by name.")
    async def rate_cards(
        self, info: Info, filter: Filter = None, first: First = 25, after: After = None
    ) -> Connection[RateCard]:
        return await _list(info, tables.RateCard, filter, first, after)


async def _one(info: Info, id: str, row_class: type[Any]) -> Any:
    row = await load_node(info.context, id)
    return row if isinstance(row, row_class) else None


async def _list(
    info: Info, row_class: Any, wanted: CatalogFilter | None, first: int, after: str | None
) -> Connection[Any]:
    columns = row_class.__table__.c
    statement = select(row_class)
    if wanted is None or not wanted.include_archived:
        statement = statement.where(columns.archived_at.is_(None))
    if wanted is not None and wanted.search:
        statement = statement.where(columns.name.icontains(wanted.search, autoescape=True))
    return await connection(info, statement, sort=[columns.name, columns.id], first=first, after=after)


@strawberry.type
class CatalogMutation:
    @mutation_field(
        scope="catalog:write",
        action="billable_metric.create",
        description="Make a billable metric. Events that came before it count as well.",
    )
    async def billable_metric_create(
        self,
        info: Info,
        input: Annotated[BillableMetricCreateInput, strawberry.argument(description="The new metric.")],
    ) -> BillableMetricPayload:
        row = await metrics.create_metric(
            info.context.session,
            name=input.name,
            aggregation=input.aggregation,
            key=input.aggregation_key,
            event_types_in=input.event_types,
            event_types_not_in=input.event_types_not_in,
            filters=property_filters(input.filters),
            group_keys=input.group_keys,
            money=money_of(input.money),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return BillableMetricPayload(billable_metric=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="billable_metric.archive",
        description="Offer a metric to no new product; products that use it go on.",
    )
    async def billable_metric_archive(self, info: Info, id: ID) -> BillableMetricPayload:
        metric_id = ids.from_text("metric", id, path=("id",))
        row = await service.archive_metric(info.context.session, metric_id, now=info.context.now)
        return BillableMetricPayload(billable_metric=row)  # type: ignore[arg-type]

    @mutation_field(scope="catalog:write", action="product.create", description="Make a product.")
    async def product_create(
        self, info: Info, input: Annotated[ProductCreateInput, strawberry.argument(description="The new product.")]
    ) -> ProductPayload:
        metric_id = None
        if input.metric_id is not None:
            metric_id = ids.from_text("metric", input.metric_id, path=("input", "metricId"))
        row = await service.create_product(
            info.context.session,
            name=input.name,
            type=input.type,
            metric_id=metric_id,
            pricing_group_key=input.pricing_group_key,
            presentation_group_key=input.presentation_group_key,
            tags=input.tags,
            composite=composite_of(input.composite),
            conversion=conversion_of(input.quantity_conversion, path=("input", "quantityConversion")),
            rounding=rounding_of(input.quantity_rounding, path=("input", "quantityRounding")),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return ProductPayload(product=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="product.add_version",
        description="Change how a product is measured from an hour on. Drafts change at once, final invoices never.",
    )
    async def product_add_version(
        self,
        info: Info,
        id: ID,
        input: Annotated[ProductVersionInput, strawberry.argument(description="What changes.")],
    ) -> ProductPayload:
        metric_id = None
        if input.metric_id is not None:
            metric_id = ids.from_text("metric", input.metric_id, path=("input", "metricId"))
        row = await versions.add_product_version(
            info.context.session,
            ids.from_text("product", id, path=("id",)),
            starting_at=input.starting_at,
            metric_id=metric_id,
            conversion=conversion_of(input.quantity_conversion, path=("input", "quantityConversion")),
            rounding=rounding_of(input.quantity_rounding, path=("input", "quantityRounding")),
            now=info.context.now,
        )
        return ProductPayload(product=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="product.archive",
        description="Let no new rate name a product; rates that name it go on.",
    )
    async def product_archive(self, info: Info, id: ID) -> ProductPayload:
        product_id = ids.from_text("product", id, path=("id",))
        row = await service.archive_product(info.context.session, product_id, now=info.context.now)
        return ProductPayload(product=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write", action="rate_card.create", description="Make a rate card, with its first rates."
    )
    async def rate_card_create(
        self, info: Info, input: Annotated[RateCardCreateInput, strawberry.argument(description="The new rate card.")]
    ) -> RateCardPayload:
        row = await service.create_rate_card(
            info.context.session,
            name=input.name,
            currency=input.currency,
            description=input.description,
            rates=new_rates(input.rates, path=("input", "rates")),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.add_rates",
        description="Add dated prices to a rate card. They reach every contract on it: drafts change at once, "
        "finalized invoices never do.",
    )
    async def rate_card_add_rates(
        self,
        info: Info,
        id: ID,
        rates_: Annotated[
            list[RateInput],
            strawberry.argument(
                name="rates", description="The prices, at most 1,000; of two that apply, the later one counts."
            ),
        ],
    ) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        session = info.context.session
        await rates.add_rates(session, card_id, new_rates(rates_, path=("rates",)), now=info.context.now)
        return RateCardPayload(rate_card=await service.get(session, tables.RateCard, card_id))  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.archive",
        description="Offer a rate card to no new contract; contracts that use it go on.",
    )
    async def rate_card_archive(self, info: Info, id: ID) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await service.archive_rate_card(info.context.session, card_id, now=info.context.now)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]
