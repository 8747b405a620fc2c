"""How overrides of contracts are shown.

Owns their GraphQL types; what callers send is in `api_override_inputs.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from sqlmodel import col

from app.catalog.api_prices import Price, shown_price
from app.catalog.api_types import Product
from app.contracts import tables
from app.core import terms
from app.core.overrides import specifier_from_json
from app.grants.api_kinds import BalanceRateType
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.values import Cadence, KeyValue, described_enum

OverridePriority = described_enum(
    terms.OverridePriority,
    description="Which of several multipliers that reach the same usage counts; they never stack.",
    sentences={
        terms.OverridePriority.LOWEST_MULTIPLIER: "The lowest multiplier.",
        terms.OverridePriority.EXPLICIT: "The one with the lowest priority number; every multiplier has one.",
    },
)
LOADERS["contract.overrides"] = rows_by(
    tables.OverrideRow, "contract_id", where=col(tables.OverrideRow.removed_at).is_(None)
)


@strawberry.type(description="Multiplies the list price, whatever it is or becomes.")
class PriceMultiplier:
    multiplier: Decimal = strawberry.field(description="By which number, 0 or more.")


@strawberry.type(description="Another price instead of the list price, which it no longer follows.")
class PriceOverwrite:
    price: Price = strawberry.field(description="The price.")


@strawberry.type(description="A band of the statement's quantity and its multiplier.")
class MultiplierTier:
    size: Decimal | None = strawberry.field(description="Width of the band; null for one without end.")
    multiplier: Decimal = strawberry.field(description="By which number, 0 or more.")


@strawberry.type(description="Multiplies the list price by the band of the statement's quantity.")
class PriceTieredMultiplier:
    tiers: list[MultiplierTier] = strawberry.field(description="The bands; beyond the last the list price holds.")


PriceChange = Annotated[
    PriceMultiplier | PriceOverwrite | PriceTieredMultiplier,
    strawberry.union("PriceChange", description="What an override makes of the list price."),
]


@strawberry.type(description="What an override reaches; every given part must hold.")
class OverrideSpecifier:
    tags: list[str] = strawberry.field(description="Tags that the product must all have.")
    pricing: list[KeyValue] = strawberry.field(description="Pricing values that the usage must have.")
    presentation: list[KeyValue] = strawberry.field(description="Presentation values that the usage must have.")
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        description="The frequency of the subscriptions that it reaches; null: it reaches usage."
    )
    specifier: strawberry.Private[terms.Specifier]

    @object_field(scope="catalog:read", description="The product; null for any. Scope: catalog:read.")
    async def product(self, info: Info) -> Product | None:
        return await _product(info, self.specifier.product_id)


@node_type(
    "override", of=tables.OverrideRow, scope="contracts:read",
    description="A contract's own change of list prices, or only of what it is entitled to.",
)  # fmt: skip
class Override(Node):
    starting_at: datetime | None = strawberry.field(description="First instant of it; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")
    entitled: bool | None = strawberry.field(
        description="Whether what it reaches is billed; null leaves it to the rate."
    )
    priority: int | None = strawberry.field(description="With explicit priorities, the lowest counts.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @strawberry.field(description="Whether it prices only what draws on a commit or credit.")
    def commit_specific(self, row: strawberry.Parent[tables.OverrideRow]) -> bool:
        return row.is_commit_specific

    @strawberry.field(description="Which price it changes.")
    def target(self, row: strawberry.Parent[tables.OverrideRow]) -> BalanceRateType:  # type: ignore[valid-type]
        return terms.RateTarget(row.target)

    @strawberry.field(description="What it makes of the list price; null when it changes no price.")
    def change(self, row: strawberry.Parent[tables.OverrideRow]) -> PriceChange | None:
        return change_shown(row.change)

    @object_field(scope="catalog:read", description="The one product it reaches. Scope: catalog:read.")
    async def product(self, info: Info, row: strawberry.Parent[tables.OverrideRow]) -> Product | None:
        return await _product(info, row.product_id)

    @strawberry.field(description="Tags of which a product must have any.")
    def any_tags(self, row: strawberry.Parent[tables.OverrideRow]) -> list[str]:
        return row.tags

    @strawberry.field(description="What it reaches: whatever any of these reaches.")
    def specifiers(self, row: strawberry.Parent[tables.OverrideRow]) -> list[OverrideSpecifier]:
        return [_shown_specifier(specifier_from_json(item)) for item in row.specifiers]


async def _product(info: Info, product_id: Any) -> Any:
    # The catalog is the seller's; a customer's own token does not see it.
    if product_id is None or info.context.actor.customer_id is not None:
        return None
    return await info.context.load("product", product_id)


def change_shown(change: terms.PriceChange | None) -> Any:
    """What an override makes of a price, as the API shows it."""
    match change:
        case None:
            return None
        case terms.Multiplier(factor):
            return PriceMultiplier(multiplier=factor)
        case terms.Overwrite(rate):
            return PriceOverwrite(price=shown_price(rate))
        case terms.TieredMultiplier(tiers):
            return PriceTieredMultiplier(
                tiers=[MultiplierTier(size=tier.size, multiplier=tier.factor) for tier in tiers]
            )


def _shown_specifier(specifier: terms.Specifier) -> OverrideSpecifier:
    return OverrideSpecifier(
        tags=list(specifier.tags),
        pricing=[KeyValue(key=key, value=value or "") for key, value in specifier.pricing],
        presentation=[KeyValue(key=key, value=value or "") for key, value in specifier.presentation],
        billing_frequency=specifier.billing_frequency,
        specifier=specifier,
    )
