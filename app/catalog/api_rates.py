"""How the dated prices of rate cards are shown.

Owns their GraphQL types, and how pages of prices are asked for; `api_pages.py` reads them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import strawberry

from app.catalog import tables
from app.catalog.api_pages import RatePage, RateSelection
from app.catalog.api_prices import Price, shown_price
from app.catalog.api_types import Product
from app.graphql.connection import Connection, page_of, page_size
from app.graphql.context import Info
from app.graphql.cursors import read_cursor, write_cursor
from app.graphql.nodes import Node, node_type
from app.graphql.values import Cadence, KeyValue, key_values
from app.store import ids

ORDER = "rates.added"


@node_type(
    "rate", of=tables.RateRow, scope="catalog:read",
    description="One dated price on a rate card. Of two that apply, the one added later counts.",
)  # fmt: skip
class Rate(Node):
    starting_at: datetime | None = strawberry.field(description="First instant of the price; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")
    entitled: bool = strawberry.field(description="Whether the product is billed at all.")
    created_at: datetime = strawberry.field(description="When it was added.")
    unit: str | None = strawberry.field(description="Pricing unit of the price; null: the currency of the card.")
    minimum: Decimal | None = strawberry.field(description="What a composite product costs at least in a statement.")

    @strawberry.field(description="What it is the price of.")
    async def product(self, info: Info, row: strawberry.Parent[tables.RateRow]) -> Product:
        return await info.context.load("product", row.product_id)

    @strawberry.field(description="The price, in its unit.")
    def price(self, row: strawberry.Parent[tables.RateRow]) -> Price:
        return shown_price(row.rate)

    @strawberry.field(description="What usage costs that draws on a balance whose rateType is COMMIT_RATE; else null.")
    def commit_price(self, row: strawberry.Parent[tables.RateRow]) -> Price | None:
        return None if row.commit_rate is None else shown_price(row.commit_rate)

    @strawberry.field(description="For how long the price of a SUBSCRIPTION product pays; null for others.")
    def billing_frequency(self, row: strawberry.Parent[tables.RateRow]) -> Cadence | None:  # type: ignore[valid-type]
        return None if row.billing_frequency is None else Cadence(row.billing_frequency)

    @strawberry.field(description="Values of the product's pricing group key to which it applies; empty for all.")
    def group_values(self, row: strawberry.Parent[tables.RateRow]) -> list[KeyValue]:
        return key_values(row.group_values)


@strawberry.input(description="Which rates of a card to list.")
class RateFilter:
    product_id: strawberry.ID | None = strawberry.field(default=None, description="Prices of this product.")


async def rates_of(
    info: Info, card_id: UUID, wanted: RateFilter, *, at: datetime | None, first: int, after: str | None
) -> Connection[Rate]:
    """A page of a card's prices, all or those in force at an instant, in the order in which they were added."""
    selection = _selection(wanted, at)
    position = 0 if after is None else cast("int", read_cursor(after, order=ORDER, size=1)[0])
    page = RatePage(card_id, selection, page_size(first), position)
    found: list[Any] = await info.context.load("rate_card.rates", page)
    shown = found[:first]

    async def count() -> int:
        return await info.context.load("rate_card.rate_count", (card_id, selection))

    cursors = [write_cursor([rate.added], order=ORDER) for rate in shown]
    return page_of(shown, cursors, len(found) > first, after is not None, count)


def _selection(wanted: RateFilter, at: datetime | None) -> RateSelection:
    if wanted.product_id is None:
        return RateSelection(None, at)
    return RateSelection(ids.from_text("product", wanted.product_id, path=("filter", "productId")), at)
