"""How rate cards and their dated prices are shown.

Owns their GraphQL types. What a price means is settled in `core.rates`; pages of prices are read by `api_pages.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast

import strawberry

from app.catalog import tables
from app.catalog.api_pages import RatePage, RateSelection
from app.catalog.api_types import Product
from app.core import rates as core
from app.graphql.connection import After, Connection, First, page_of, page_size
from app.graphql.context import Info
from app.graphql.cursors import read_cursor, write_cursor
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValue, key_values
from app.store import ids

ORDER = "rates.added"


@strawberry.type(description="One price for every unit.")
class FlatPrice:
    unit_price: Decimal = strawberry.field(description="Price of one unit, in the major unit of the card's currency.")


@strawberry.type(description="A band of the period's quantity and its price.")
class Tier:
    size: Decimal | None = strawberry.field(description="Width of the band; null for the last, which has no end.")
    unit_price: Decimal = strawberry.field(description="Price of one unit, in the major unit of the card's currency.")


@strawberry.type(description="Graduated tiers: every band of the statement's quantity has its own price.")
class TieredPrice:
    tiers: list[Tier] = strawberry.field(description="The bands, from the first unit on.")


@strawberry.type(description="A fraction of money.")
class PercentagePrice:
    fraction: Decimal = strawberry.field(description="0.1 for ten per cent; more than 1 as well.")


@strawberry.type(description="Graduated fractions: every band of the statement's money has its own.")
class TieredPercentagePrice:
    tiers: list[Tier] = strawberry.field(description="The bands; the price of a unit is the fraction.")


Price = Annotated[
    FlatPrice | TieredPrice | PercentagePrice | TieredPercentagePrice,
    strawberry.union("Price", description="What a unit costs: one price, or tiers; or a fraction of money."),
]


def shown_price(rate: core.Rate) -> FlatPrice | TieredPrice | PercentagePrice | TieredPercentagePrice:
    """A core rate as the API shows it."""
    match rate:
        case core.Flat(price):
            return FlatPrice(unit_price=price)
        case core.Percentage(fraction):
            return PercentagePrice(fraction=fraction)
        case core.Tiered(tiers):
            return TieredPrice(tiers=_tiers(tiers))
        case core.TieredPercentage(tiers):
            return TieredPercentagePrice(tiers=_tiers(tiers))


def _tiers(tiers: tuple[core.Tier, ...]) -> list[Tier]:
    return [Tier(size=tier.size, unit_price=tier.price) for tier in tiers]


@node_type(
    "rate", of=tables.RateRow, scope="catalog:read",
    description="One dated price on a rate card. Of two that apply, the one added later counts.",
)  # fmt: skip
class Rate(Node):
    starting_at: datetime | None = strawberry.field(description="First instant of the price; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")
    entitled: bool = strawberry.field(description="Whether the product is billed at all.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @strawberry.field(description="What it is the price of.")
    async def product(self, info: Info, row: strawberry.Parent[tables.RateRow]) -> Product:
        return await info.context.load("product", row.product_id)

    @strawberry.field(description="The price, in the currency of the rate card.")
    def price(self, row: strawberry.Parent[tables.RateRow]) -> Price:
        return shown_price(row.rate)

    @strawberry.field(description="Values of the product's pricing group key to which it applies; empty for all.")
    def group_values(self, row: strawberry.Parent[tables.RateRow]) -> list[KeyValue]:
        return key_values(row.group_values)


@strawberry.input(description="Which rates of a card to list; conditions add up.")
class RateFilter:
    product_id: strawberry.ID | None = strawberry.field(default=None, description="Prices of this product.")
    at: datetime | None = strawberry.field(default=None, description="Prices whose interval includes this instant.")


@node_type("rate_card", of=tables.RateCard, scope="catalog:read", description="A list of prices in one currency.")
class RateCard(Node):
    name: str = strawberry.field(description="What people call it; never shown to end customers.")
    description: str | None = strawberry.field(description="What it is for.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on no new contract may use it.")

    @strawberry.field(description="Currency of its prices.")
    def currency(self, row: strawberry.Parent[tables.RateCard]) -> CurrencyCode:
        return CurrencyCode(row.currency)

    @strawberry.field(description="Its prices, in the order in which they were added.")
    async def rates(
        self,
        info: Info,
        row: strawberry.Parent[tables.RateCard],
        filter: Annotated[RateFilter | None, strawberry.argument(description="Which rates.")] = None,
        first: First = 50,
        after: After = None,
    ) -> Connection[Rate]:
        selection = _selection(filter or RateFilter())
        position = 0 if after is None else cast("int", read_cursor(after, order=ORDER, size=1)[0])
        page = RatePage(row.id, selection, page_size(first), position)
        found: list[Any] = await info.context.load("rate_card.rates", page)
        shown = found[:first]

        async def count() -> int:
            return await info.context.load("rate_card.rate_count", (row.id, selection))

        cursors = [write_cursor([rate.added], order=ORDER) for rate in shown]
        return page_of(shown, cursors, len(found) > first, after is not None, count)


def _selection(wanted: RateFilter) -> RateSelection:
    product_id = wanted.product_id
    if product_id is None:
        return RateSelection(None, wanted.at)
    return RateSelection(ids.from_text("product", product_id, path=("filter", "productId")), wanted.at)
