"""How prices are shown.

Owns their GraphQL types. What a price means is settled in `core.rates`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import strawberry

from app.core import rates as core
from app.core.per_event import PercentagePerEvent
from app.graphql.scalars import JSON


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


@strawberry.type(description="A fraction of each event's money, with a least and a most that one event costs.")
class PercentagePerEventPrice:
    fraction: Decimal = strawberry.field(description="0.004 for 0.4 per cent.")
    min_per_event: Decimal | None = strawberry.field(
        description="What an event costs at least, in the major unit of the card's currency; null for no minimum."
    )
    max_per_event: Decimal | None = strawberry.field(
        description="What an event costs at most, in the major unit of the card's currency; null for no maximum."
    )


@strawberry.type(description="Graduated fractions: every band of the statement's money has its own.")
class TieredPercentagePrice:
    tiers: list[Tier] = strawberry.field(description="The bands; the price of a unit is the fraction.")


@strawberry.type(description="All units at the price of the tier in which the statement's quantity lies.")
class VolumePrice:
    tiers: list[Tier] = strawberry.field(description="The bands of the statement's quantity.")


@strawberry.type(description="A price for each begun package of units.")
class PackagePrice:
    size: Decimal = strawberry.field(description="Units in a package.")
    package_price: Decimal = strawberry.field(description="Price of a package, in the major unit of the currency.")


@strawberry.type(description="A price that an installed rater works out.")
class CustomPrice:
    rater: str = strawberry.field(description="The rater's name.")
    parameters: JSON = strawberry.field(description="What it is given, as it was sent.")
    multiplier: Decimal = strawberry.field(description="By what an override multiplies each of its prices; else 1.")


AnyPrice = (
    FlatPrice
    | TieredPrice
    | PercentagePrice
    | PercentagePerEventPrice
    | TieredPercentagePrice
    | VolumePrice
    | PackagePrice
    | CustomPrice
)
Price = Annotated[
    AnyPrice,
    strawberry.union(
        "Price",
        description="What usage costs: for each unit, by tier or package; a share of money; or what a rater says.",
    ),
]


def shown_price(rate: core.Rate) -> AnyPrice:
    """A core rate as the API shows it."""
    match rate:
        case core.Flat(price):
            return FlatPrice(unit_price=price)
        case core.Percentage(fraction):
            return PercentagePrice(fraction=fraction)
        case PercentagePerEvent(fraction, minimum, maximum):
            return PercentagePerEventPrice(fraction=fraction, min_per_event=minimum, max_per_event=maximum)
        case core.Tiered(tiers):
            return TieredPrice(tiers=_tiers(tiers))
        case core.TieredPercentage(tiers):
            return TieredPercentagePrice(tiers=_tiers(tiers))
        case core.Volume(tiers):
            return VolumePrice(tiers=_tiers(tiers))
        case core.Package(size, price):
            return PackagePrice(size=size, package_price=price)
        case core.Custom():
            return CustomPrice(rater=rate.rater, parameters=JSON(json.loads(rate.parameters)), multiplier=rate.factor)


def _tiers(tiers: tuple[core.Tier, ...]) -> list[Tier]:
    return [Tier(size=tier.size, unit_price=tier.price) for tier in tiers]
