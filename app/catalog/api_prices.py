"""How prices are shown.

Owns their GraphQL types. What a price means is settled in `core.rates`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import strawberry

from app.core import rates as core


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
