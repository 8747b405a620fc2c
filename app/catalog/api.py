"""Metrics and products in GraphQL: what can be done to them.

Owns the mutations; what can be read is in `api_queries.py`, rate cards in `api_cards.py`; how objects look is in `api_types.py`, what callers send in `api_inputs.py`, the rules in the services.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.catalog import metrics, products, service, versions
from app.catalog.api_cards import RateCardMutation
from app.catalog.api_composites import composite_in
from app.catalog.api_inputs import (
    BillableMetricCreateInput,
    ProductCreateInput,
    money_of,
    outcome_of,
    property_filters,
)
from app.catalog.api_measuring import ProductVersionInput, conversion_of, rounding_of
from app.catalog.api_types import BillableMetric, Product
from app.catalog.version_rules import ProductChange
from app.custom_fields.api_types import custom_fields_in
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.type(description="Answer to a mutation of a billable metric.")
class BillableMetricPayload(Payload):
    billable_metric: BillableMetric | None = strawberry.field(
        default=None, description="The metric; null after an error."
    )


@strawberry.type(description="Answer to a mutation of a product.")
class ProductPayload(Payload):
    product: Product | None = strawberry.field(default=None, description="The product; null after an error.")


@strawberry.type
class CatalogMutation(RateCardMutation):
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
            sql=input.sql,
            event_types_in=input.event_types,
            event_types_not_in=input.event_types_not_in,
            filters=property_filters(input.filters),
            group_keys=input.group_keys,
            money=money_of(input.money),
            outcome=outcome_of(input.session, input.latest_state),
            custom_fields=custom_fields_in(input.custom_fields),
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
        row = await products.create_product(
            info.context.session,
            name=input.name,
            type=input.type,
            metric_id=metric_id,
            pricing_group_key=input.pricing_group_key,
            presentation_group_key=input.presentation_group_key,
            tags=input.tags,
            composite=composite_in(input.composite),
            conversion=conversion_of(input.quantity_conversion, path=("input", "quantityConversion")),
            rounding=rounding_of(input.quantity_rounding, path=("input", "quantityRounding")),
            granularity=input.sql_breakdown_granularity,
            custom_fields=custom_fields_in(input.custom_fields),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return ProductPayload(product=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="product.add_version",
        description="Change a product from an hour on: name, labels, how it is measured and split, its composite. Drafts change at once, final invoices never.",
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
            ProductChange(
                starting_at=input.starting_at,
                metric_id=metric_id,
                conversion=conversion_of(input.quantity_conversion, path=("input", "quantityConversion")),
                rounding=rounding_of(input.quantity_rounding, path=("input", "quantityRounding")),
                name=input.name,
                tags=input.tags,
                pricing_group_key=input.pricing_group_key,
                presentation_group_key=input.presentation_group_key,
                granularity=input.sql_breakdown_granularity,
                composite=composite_in(input.composite),
            ),
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
