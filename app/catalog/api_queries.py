"""Metrics, products and rate cards in GraphQL: what can be read.

Owns the root fields; how the objects look is in `api_types.py` and `api_card_types.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from sqlalchemy import select

from app.catalog import aliases, tables
from app.catalog.api_card_types import RateCard
from app.catalog.api_types import BillableMetric, Product
from app.custom_fields.api_filters import DESCRIPTION, Entity, with_custom_fields
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import query_field
from app.graphql.nodes import load_node
from app.graphql.values import KeyValueInput

ENTITIES = {
    tables.MetricRow: Entity.BILLABLE_METRIC,
    tables.ProductRow: Entity.PRODUCT,
    tables.RateCard: Entity.RATE_CARD,
}
ID = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.input(description="Which objects of the catalog to list; conditions add up.")
class CatalogFilter:
    search: str | None = strawberry.field(default=None, description="Part of the name, in any case.")
    include_archived: bool = strawberry.field(default=False, description="Archived ones too.")
    custom_fields: list[KeyValueInput] = strawberry.field(default_factory=list, description=DESCRIPTION)


Filter = Annotated[CatalogFilter | None, strawberry.argument(description="Which of them.")]


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

    @query_field(scope="catalog:read", description="Products, by the name that they were made with.")
    async def products(
        self, info: Info, filter: Filter = None, first: First = 25, after: After = None
    ) -> Connection[Product]:
        return await _list(info, tables.ProductRow, filter, first, after)

    @query_field(scope="catalog:read", description="One rate card, by its id or by an alias; null when there is none.")
    async def rate_card(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        alias: Annotated[str | None, strawberry.argument(description="A name that points to it.")] = None,
        at: Annotated[
            datetime | None, strawberry.argument(description="When the alias points to it; default: now.")
        ] = None,
    ) -> RateCard | None:
        if (id is None) is (alias is None):
            raise InvalidInput(ErrorCode.INVALID, "Give either id or alias.", path=("id",))
        if alias is not None:
            return await aliases.find_by_alias(info.context.session, alias, at=at or info.context.now)  # type: ignore[return-value]
        return await _one(info, str(id), tables.RateCard)

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
    if wanted is not None:
        statement = await with_custom_fields(info, statement, ENTITIES[row_class], columns.id, wanted.custom_fields)
    return await connection(info, statement, sort=[columns.name, columns.id], first=first, after=after)
