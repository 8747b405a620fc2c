"""How composite products are shown and sent.

Owns the GraphQL type and input of what such a product is a percentage of, and the way to the core value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from app.core import terms
from app.errors import ErrorCode, InvalidInput
from app.graphql.context import Info
from app.graphql.values import described_enum
from app.store import ids

if TYPE_CHECKING:
    from app.catalog.api_types import Product

CompositeScope = described_enum(
    terms.CompositeScope,
    name="CompositeScope",
    description="Whose charges a composite product is a percentage of.",
    sentences={
        terms.CompositeScope.CONTRACT: "Those of its own contract.",
        terms.CompositeScope.CUSTOMER: "Those of all contracts of the customer in the hours of the statement. Of several "
        "contracts that are entitled to the product, one bills it: lowest priority number, then start, then id.",
    },
)


@strawberry.type(description="What a composite product is a percentage of: any of the products, or of the tags.")
class Composite:
    value: strawberry.Private[terms.Composite]

    @strawberry.field(description="Charges for these products count.")
    async def products(self, info: Info) -> list[Annotated[Product, strawberry.lazy("app.catalog.api_types")]]:
        return [await info.context.load("product", item) for item in self.value.product_ids]

    @strawberry.field(description="Charges for products with any of these tags count.")
    def tags(self) -> list[str]:
        return list(self.value.tags)

    @strawberry.field(description="Whether products without any charge are left out.")
    def exclude_free_usage(self) -> bool:
        return self.value.exclude_free_usage

    @strawberry.field(description="Whose charges count.")
    def scope(self) -> CompositeScope:  # type: ignore[valid-type]
        return self.value.scope


@strawberry.input(description="What a composite product is a percentage of; name products, tags or both.")
class CompositeInput:
    product_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Charges for these USAGE products count, at most 100."
    )
    tags: list[str] = strawberry.field(
        default_factory=list, description="Charges for USAGE products with any of these tags count, at most 100."
    )
    exclude_free_usage: bool = strawberry.field(
        default=False, description="Products without any charge do not count, so that a minimum needs some."
    )
    scope: CompositeScope = strawberry.field(  # type: ignore[valid-type]
        default=terms.CompositeScope.CONTRACT, description="Whose charges count."
    )


def composite_in(found: CompositeInput | None) -> terms.Composite | None:
    """What a composite product is a percentage of, as the core reads it."""
    path = ("input", "composite")
    if found is None:
        return None
    if not found.product_ids and not found.tags:
        raise InvalidInput(ErrorCode.REQUIRED, "Name products or tags.", path=path)
    named = (
        ids.from_text("product", item, path=(*path, "productIds", str(index)))
        for index, item in enumerate(found.product_ids)
    )
    return terms.Composite(tuple(named), tuple(found.tags), found.exclude_free_usage, found.scope)


def composite_shown(composite: terms.Composite | None) -> Composite | None:
    """A composite as the API shows it."""
    return None if composite is None else Composite(value=composite)
