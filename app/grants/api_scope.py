"""What commits and credits may pay, in GraphQL.

Owns the inputs, the types and both ways; the rules are in `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import strawberry

from app.catalog.api_types import Product
from app.checks import Path
from app.contracts.tables import ThresholdRow
from app.core import terms
from app.core.overrides import specifier_from_json
from app.grants.definitions import Scope
from app.grants.tables import GrantRow, RecurringGrantRow
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.values import KeyValue, KeyValueInput, group_of
from app.store import ids


@strawberry.input(description="Usage that a balance may pay; every given part must hold.")
class BalanceSpecifierInput:
    product_id: strawberry.ID | None = strawberry.field(default=None, description="This product.")
    tags: list[str] = strawberry.field(default_factory=list, description="Products that have all these tags.")
    pricing: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Usage with these pricing values."
    )
    presentation: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Usage with these presentation values."
    )


@strawberry.input(description="What a balance may pay: products and tags, or specifiers; nothing named is everything.")
class AppliesToInput:
    product_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description="These products.")
    tags: list[str] = strawberry.field(default_factory=list, description="Products with any of these tags.")
    specifiers: list[BalanceSpecifierInput] = strawberry.field(
        default_factory=list, description="Whatever any of these reaches."
    )


@strawberry.type(description="Usage that a balance may pay; every part must hold.")
class BalanceSpecifier:
    tags: list[str] = strawberry.field(description="Tags that the product must all have.")
    pricing: list[KeyValue] = strawberry.field(description="Pricing values that the usage must have.")
    presentation: list[KeyValue] = strawberry.field(description="Presentation values that the usage must have.")
    product_id: strawberry.Private[UUID | None]

    @object_field(scope="catalog:read", description="The product; null for any. Scope: catalog:read.")
    async def product(self, info: Info) -> Product | None:
        found = await _products(info, [] if self.product_id is None else [self.product_id])
        return found[0] if found else None


@strawberry.type(description="What a balance may pay; when nothing is named, everything.")
class AppliesTo:
    tags: list[str] = strawberry.field(description="Products with any of these tags.")
    specifiers: list[BalanceSpecifier] = strawberry.field(description="Whatever any of these reaches.")
    product_ids: strawberry.Private[Sequence[UUID]]

    @object_field(
        scope="catalog:read", description="These products; none for tokens of one customer. Scope: catalog:read."
    )
    async def products(self, info: Info) -> list[Product]:
        return await _products(info, self.product_ids)


def scope_of(found: AppliesToInput, *, path: Path) -> Scope:
    """What a balance may pay, as the service takes it."""
    return Scope(
        product_ids=[
            ids.from_text("product", item, path=(*path, "productIds", str(index)))
            for index, item in enumerate(found.product_ids)
        ],
        tags=found.tags,
        specifiers=[
            _specifier(item, path=(*path, "specifiers", str(index))) for index, item in enumerate(found.specifiers)
        ],
    )


def scope_shown(row: GrantRow | RecurringGrantRow | ThresholdRow) -> AppliesTo:
    """What a balance may pay, as the API shows it."""
    return AppliesTo(
        tags=row.tags,
        specifiers=[_specifier_shown(specifier_from_json(item)) for item in row.specifiers],
        product_ids=[UUID(item) for item in row.product_ids],
    )


def _specifier(found: BalanceSpecifierInput, *, path: Path) -> terms.Specifier:
    product_id = None
    if found.product_id is not None:
        product_id = ids.from_text("product", found.product_id, path=(*path, "productId"))
    return terms.Specifier(
        product_id=product_id,
        tags=tuple(found.tags),
        pricing=group_of(found.pricing, path=(*path, "pricing")),
        presentation=group_of(found.presentation, path=(*path, "presentation")),
    )


def _specifier_shown(found: terms.Specifier) -> BalanceSpecifier:
    return BalanceSpecifier(
        tags=list(found.tags),
        pricing=[KeyValue(key=key, value=value or "") for key, value in found.pricing],
        presentation=[KeyValue(key=key, value=value or "") for key, value in found.presentation],
        product_id=found.product_id,
    )


async def _products(info: Info, product_ids: Sequence[UUID]) -> list[Any]:
    # The catalog is the seller's; a customer's own token does not see it.
    return [] if info.context.actor.customer_id else await info.context.load_many("product", product_ids)
