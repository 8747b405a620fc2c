"""Which rows of a price list are asked for.

Owns the GraphQL input and its way to the core, which selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import strawberry

from app.checks import at_most
from app.core.rate_schedule import Selector
from app.graphql.values import Cadence, KeyValueInput
from app.store import ids

MAX_SELECTORS = 50


@strawberry.input(description="Which prices of a schedule; every given part must hold.")
class RateSelectorInput:
    product_id: strawberry.ID | None = strawberry.field(default=None, description="Prices of this product.")
    any_tags: list[str] = strawberry.field(
        default_factory=list, description="Prices of products with any of these tags."
    )
    pricing: list[KeyValueInput] | None = strawberry.field(
        default=None, description="Prices for exactly these pricing values; an empty list: prices for all values."
    )
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Prices for one such period of a subscription."
    )
    partial_pricing: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Prices for these pricing values among others."
    )


Selectors = Annotated[
    list[RateSelectorInput] | None,
    strawberry.argument(description="Prices that any of these selects, at most 50; default: all."),
]


def selectors_of(inputs: Sequence[RateSelectorInput] | None) -> list[Selector]:
    """The selectors as the core reads them."""
    at_most(inputs or (), MAX_SELECTORS, path=("selectors",))
    return [
        Selector(
            product_id=None
            if found.product_id is None
            else ids.from_text("product", found.product_id, path=("selectors", str(index), "productId")),
            any_tags=tuple(found.any_tags),
            billing_frequency=found.billing_frequency,
            pricing=None if found.pricing is None else tuple((pair.key, pair.value) for pair in found.pricing),
            partial_pricing=tuple((pair.key, pair.value) for pair in found.partial_pricing),
        )
        for index, found in enumerate(inputs or ())
    ]
