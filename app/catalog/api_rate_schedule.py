"""How price lists laid flat are shown.

Owns the GraphQL type of a segment; which are asked for is in `api_selectors.py`, and what holds when is settled in `core.rate_schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import strawberry

from app.catalog.api_prices import Price, shown_price
from app.catalog.api_types import Product
from app.catalog.states import state_at
from app.catalog.terms import SINCE_EVER
from app.core.period import Period
from app.core.rate_schedule import Segment, Selector, rate_schedule, selected
from app.errors import ErrorCode, InvalidInput
from app.graphql.context import Info
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Cadence, KeyValue, key_values


@strawberry.type(description="A price of a rate card that holds for a stretch of time.")
class RateSegment:
    starting_at: datetime | None = strawberry.field(description="First instant; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")
    entitled: bool = strawberry.field(description="Whether the product is billed at all.")
    price: Price = strawberry.field(description="The price.")
    commit_price: Price | None = strawberry.field(
        description="The price of what draws on a balance whose rateType is COMMIT_RATE; else null."
    )
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        description="For a subscription: the period that the price pays for; else null."
    )
    currency: CurrencyCode = strawberry.field(description="Unit of the price.")
    minimum: Decimal | None = strawberry.field(description="What a composite product costs at least in a statement.")
    group_values: list[KeyValue] = strawberry.field(
        description="Values of the product's pricing group key to which it applies; empty for all."
    )
    segment: strawberry.Private[Segment]

    @strawberry.field(description="What it is the price of.")
    async def product(self, info: Info) -> Product:
        return await info.context.load("product", self.segment.entry.product_id)

    @property
    def key(self) -> str:
        """What tells it from all other segments of its card."""
        return f"{self.segment.entry.product_id} {self.segment.entry.group_values} {self.billing_frequency} {self.starting_at}"


async def segments_of(
    info: Info,
    card_id: UUID,
    currency: str,
    starting_at: datetime,
    ending_before: datetime | None,
    selectors: Sequence[Selector],
) -> list[RateSegment]:
    """The segments of a card that hold in an interval and are selected, in the card's order of products."""
    if ending_before is not None and ending_before <= starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL, "endingBefore must lie after startingAt.", path=("endingBefore",)
        )
    found = rate_schedule(await info.context.load("rate_card.entries", card_id), Period(starting_at, ending_before))
    products = await info.context.load("rate_card.products", card_id)
    changes = await info.context.load_many("product.versions", [product.id for product in products])
    places = {
        product.id: (place, state_at(product, versions, info.context.now).tags)
        for place, (product, versions) in enumerate(zip(products, changes, strict=True))
    }
    return [
        _shown(segment, currency)
        for segment in sorted(found, key=lambda segment: places[segment.entry.product_id][0])
        if selected(
            selectors,
            segment.entry,
            pricing=segment.entry.group_values,
            tags=places[segment.entry.product_id][1],
        )
    ]


def _shown(segment: Segment, currency: str) -> RateSegment:
    start = segment.period.starting_at
    return RateSegment(
        starting_at=None if start == SINCE_EVER else start,
        ending_before=segment.period.ending_before,
        entitled=segment.entry.entitled,
        price=shown_price(segment.entry.rate),
        commit_price=None if segment.entry.commit_rate is None else shown_price(segment.entry.commit_rate),
        billing_frequency=segment.entry.billing_frequency,
        currency=CurrencyCode(segment.entry.unit or currency),
        minimum=segment.entry.minimum,
        group_values=key_values({name: value or "" for name, value in segment.entry.group_values}),
        segment=segment,
    )
