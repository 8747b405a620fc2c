"""How rate cards are shown.

Owns their GraphQL type and the loaders of what belongs to a card; prices are shown by `api_rates.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from app.catalog import tables
from app.catalog.api_rate_schedule import RateSegment, segments_of
from app.catalog.api_rates import Rate, RateFilter, rates_of
from app.catalog.api_selectors import Selectors, selectors_of
from app.catalog.api_types import Product
from app.core.period import SINCE_EVER
from app.custom_fields.api_types import HasCustomFields
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import CurrencyCode


@strawberry.type(description="A name that points to a rate card for a time.")
class RateCardAlias:
    name: str = strawberry.field(description="The name.")
    starting_at: datetime | None = strawberry.field(description="First instant; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")


@strawberry.type(description="What one of a pricing unit is worth on a rate card.")
class Conversion:
    unit: str = strawberry.field(description="Code of the pricing unit.")
    worth: Decimal = strawberry.field(description="In the currency of the card.")


@node_type("rate_card", of=tables.RateCard, scope="catalog:read", description="A list of prices in one currency.")
class RateCard(Node, HasCustomFields):
    name: str = strawberry.field(description="What people call it; never shown to end customers.")
    description: str | None = strawberry.field(description="What it is for.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on no new contract may use it.")

    @strawberry.field(description="Currency of its prices.")
    def currency(self, row: strawberry.Parent[tables.RateCard]) -> CurrencyCode:
        return CurrencyCode(row.currency)

    @strawberry.field(description="What one of each pricing unit is worth, in its currency; by code.")
    def conversions(self, row: strawberry.Parent[tables.RateCard]) -> list[Conversion]:
        return [Conversion(unit=unit, worth=Decimal(worth)) for unit, worth in sorted(row.conversions.items())]

    @strawberry.field(description="Names that point to it, past and future ones too, at most 200, by name and start.")
    async def aliases(self, info: Info, row: strawberry.Parent[tables.RateCard]) -> list[RateCardAlias]:
        found: list[tables.RateCardAlias] = await info.context.load("rate_card.aliases", row.id)
        return sorted(found, key=lambda alias: (alias.name, alias.starting_at or SINCE_EVER))  # type: ignore[return-value]

    @strawberry.field(description="The products that have a price on it, in the order of lines on invoices.")
    async def products(
        self, info: Info, row: strawberry.Parent[tables.RateCard], first: First = 50, after: After = None
    ) -> Connection[Product]:
        found: list[tables.ProductRow] = await info.context.load("rate_card.products", row.id)
        return list_connection(found, key=lambda product: str(product.id), first=first, after=after)  # type: ignore[return-value]

    @strawberry.field(description="Its prices, in the order in which they were added.")
    async def rates(
        self,
        info: Info,
        row: strawberry.Parent[tables.RateCard],
        at: Annotated[
            datetime | None,
            strawberry.argument(description="Only those in force at this instant, without what later ones replace."),
        ] = None,
        filter: Annotated[RateFilter | None, strawberry.argument(description="Which rates.")] = None,
        first: First = 50,
        after: After = None,
    ) -> Connection[Rate]:
        return await rates_of(info, row.id, filter or RateFilter(), at=at, first=first, after=after)

    @strawberry.field(
        description="Its prices laid flat: segments of time in which a price holds, after later prices have replaced "
        "earlier ones; in its order of products, then by pricing values and start."
    )
    async def rate_schedule(
        self,
        info: Info,
        row: strawberry.Parent[tables.RateCard],
        starting_at: Annotated[datetime, strawberry.argument(description="Segments that hold from here on.")],
        ending_before: Annotated[
            datetime | None,
            strawberry.argument(description="Segments that begin before this; default: all later ones."),
        ] = None,
        selectors: Selectors = None,
        first: First = 50,
        after: After = None,
    ) -> Connection[RateSegment]:
        segments = await segments_of(info, row.id, row.currency, starting_at, ending_before, selectors_of(selectors))
        return list_connection(segments, key=lambda segment: segment.key, first=first, after=after)
