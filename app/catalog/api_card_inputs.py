"""What callers send to make rate cards, their prices and their names.

Owns the GraphQL inputs and their way to core values; a value that the core refuses becomes an error with its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from app.catalog.aliases import NewAlias
from app.catalog.api_inputs import SAFE_TO_REPEAT
from app.catalog.rate_rules import NewRate
from app.catalog.raters import custom_rate
from app.checks import Path
from app.core.per_event import PercentagePerEvent
from app.core.rates import Flat, Package, Percentage, Rate, Tier, Tiered, TieredPercentage, Volume
from app.errors import ErrorCode, InvalidInput
from app.graphql.scalars import JSON, CurrencyCode
from app.graphql.values import Cadence, KeyValueInput
from app.store import ids


@strawberry.input(description="A band of the statement's quantity and its price.")
class TierInput:
    size: Decimal | None = strawberry.field(
        default=None, description="Width of the band, above 0; leave it out for the last, which has no end."
    )
    unit_price: Decimal = strawberry.field(
        description="Price of one unit, 0 or more; a fraction where tiers are of a percentage."
    )


@strawberry.input(description="A package of units and its price.")
class PackageInput:
    size: Decimal = strawberry.field(description="Units in a package, above 0.")
    package_price: Decimal = strawberry.field(description="Price of a package, 0 or more.")


@strawberry.input(description="A price that an installed rater works out.")
class CustomPriceInput:
    rater: str = strawberry.field(description="The name under which a package offers it (`metrograph.raters`).")
    parameters: JSON = strawberry.field(
        description="An object that the rater checks and is given, of at most 10,000 characters; fractions as strings."
    )


@strawberry.input(
    description="A share of each event's money with a least and a most that one event costs; at least one of them is given. "
    "An event below zero takes back what the same event above zero costs, one of zero costs nothing."
)
class PercentagePerEventInput:
    fraction: Decimal = strawberry.field(description="The share, 0.004 for 0.4 per cent; 0 or more.")
    min_per_event: Decimal | None = strawberry.field(
        default=None, description="What an event costs at least, in the currency of the rate card; 0 or more."
    )
    max_per_event: Decimal | None = strawberry.field(
        default=None, description="What an event costs at most; not below the minimum."
    )


@strawberry.input(one_of=True, description="What a unit costs, in the currency of the rate card: give exactly one.")
class PriceInput:
    flat: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="One price for every unit, 0 or more."
    )
    tiered: list[TierInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Graduated tiers, at most 100, from the first unit on."
    )
    percentage: Decimal | None = strawberry.field(
        default=strawberry.UNSET,
        description="A fraction of money, 0.1 for ten per cent and more than 1 as well; for composite products and for "
        "metrics that measure money.",
    )
    percentage_per_event: PercentagePerEventInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="A fraction of the money of each event, with bounds; for metrics that add up money, without conversion "
        "or rounding.",
    )
    tiered_percentage: list[TierInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Fractions by bands of the statement's money, at most 100."
    )
    volume: list[TierInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Tiers, at most 100, of which the one that the statement's quantity reaches prices all of it.",
    )
    package: PackageInput | None = strawberry.field(
        default=strawberry.UNSET, description="A price for each begun package of units."
    )
    custom: CustomPriceInput | None = strawberry.field(
        default=strawberry.UNSET, description="What an installed rater says; for usage and composite products."
    )


@strawberry.input(description="A dated price to add to a rate card.")
class RateInput:
    product_id: strawberry.ID = strawberry.field(description="What it is the price of.")
    price: PriceInput = strawberry.field(description="The price.")
    starting_at: datetime | None = strawberry.field(
        default=None, description="First instant of the price, on a full hour; default: since ever."
    )
    ending_before: datetime | None = strawberry.field(
        default=None, description="First instant after it, on a full hour; default: for good."
    )
    entitled: bool = strawberry.field(default=True, description="Whether the product is billed at all.")
    group_values: list[KeyValueInput] = strawberry.field(
        default_factory=list,
        description="A value for each property of the product's pricing group key; default: the price for all values.",
    )
    commit_price: PriceInput | None = strawberry.field(
        default=None,
        description="What usage costs that draws on a balance whose rateType is COMMIT_RATE; flat or tiered.",
    )
    unit: str | None = strawberry.field(
        default=None, description="A pricing unit for which the card has a conversion; default: its currency."
    )
    minimum: Decimal | None = strawberry.field(
        default=None, description="What a composite product costs at least in a statement."
    )
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="For how long the price of a SUBSCRIPTION product pays; others have none."
    )


@strawberry.input(description="What one of a pricing unit is worth.")
class ConversionInput:
    unit: str = strawberry.field(description="Code of the pricing unit.")
    worth: Decimal = strawberry.field(description="In the currency of the card, above 0.")


@strawberry.input(description="A name that points to a rate card for a time; it points to one card at a time.")
class RateCardAliasInput:
    name: str = strawberry.field(description="The name, 1 to 128 characters.")
    starting_at: datetime | None = strawberry.field(
        default=None, description="First instant, a full hour; default: since ever."
    )
    ending_before: datetime | None = strawberry.field(
        default=None, description="First instant after it, a full hour; default: for good."
    )


@strawberry.input(description="Where a product goes in the order of a card.")
class ProductMoveInput:
    product_id: strawberry.ID = strawberry.field(description="The product.")
    position: int = strawberry.field(description="Its new position, counted from 0.")


@strawberry.input(description="A new rate card.")
class RateCardCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    currency: CurrencyCode = strawberry.field(description="Currency of all its prices.")
    description: str | None = strawberry.field(default=None, description="What it is for, at most 2,000 characters.")
    rates: list[RateInput] = strawberry.field(
        default_factory=list, description="Its first prices, at most 1,000, in the order in which they count."
    )
    aliases: list[RateCardAliasInput] = strawberry.field(
        default_factory=list,
        description="Names that point to it; a card that has one of them at its start loses it at that instant.",
    )
    conversions: list[ConversionInput] = strawberry.field(
        default_factory=list, description="What each pricing unit of its prices is worth, at most 50."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(default=None, description=SAFE_TO_REPEAT)


@strawberry.input(description="A change of a rate card; what is left out stays.")
class RateCardUpdateInput:
    name: str | None = strawberry.field(default=None, description="What people call it, 1 to 200 characters.")
    description: str | None = strawberry.field(default=None, description="What it is for, at most 2,000 characters.")
    add_conversions: list[ConversionInput] = strawberry.field(
        default_factory=list, description="Units that it did not convert so far; what one is worth never changes."
    )


def new_rates(inputs: Sequence[RateInput], *, path: Path) -> list[NewRate]:
    """The prices to add; `path` is that of the list."""
    return [_new_rate(found, path=(*path, str(index))) for index, found in enumerate(inputs)]


def conversions_of(inputs: Sequence[ConversionInput], *, field: str = "conversions") -> dict[str, Decimal]:
    """What one of each unit is worth; each unit once."""
    path = ("input", field)
    worth = {item.unit: item.worth for item in inputs}
    if len(worth) < len(inputs):
        raise InvalidInput(ErrorCode.INVALID, f"{field} name a unit twice.", path=path)
    return worth


def new_alias(found: RateCardAliasInput) -> NewAlias:
    """The name to give."""
    return NewAlias(name=found.name, starting_at=found.starting_at, ending_before=found.ending_before)


def _new_rate(found: RateInput, *, path: Path) -> NewRate:
    group_values: dict[str, str] = {}
    for pair in found.group_values:
        if pair.key in group_values:
            place = (*path, "groupValues")
            raise InvalidInput(ErrorCode.INVALID, f"groupValues name {pair.key[:60]!r} twice.", path=place)
        group_values[pair.key] = pair.value
    return NewRate(
        product_id=ids.from_text("product", found.product_id, path=(*path, "productId")),
        rate=rate_of(found.price, path=(*path, "price")),
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        entitled=found.entitled,
        group_values=group_values,
        commit_rate=None if found.commit_price is None else rate_of(found.commit_price, path=(*path, "commitPrice")),
        unit=found.unit,
        minimum=found.minimum,
        billing_frequency=found.billing_frequency,
    )


def rate_of(price: PriceInput, *, path: Path) -> Rate:
    """The price as the core reads it."""
    try:
        if isinstance(price.flat, Decimal):
            return Flat(price.flat)
        if isinstance(price.percentage, Decimal):
            return Percentage(price.percentage)
        if isinstance(price.percentage_per_event, PercentagePerEventInput):
            given = price.percentage_per_event
            return PercentagePerEvent(given.fraction, given.min_per_event, given.max_per_event)
        if isinstance(price.tiered_percentage, list):
            return TieredPercentage(tuple(Tier(tier.size, tier.unit_price) for tier in price.tiered_percentage))
        if isinstance(price.volume, list):
            return Volume(tuple(Tier(tier.size, tier.unit_price) for tier in price.volume))
        if isinstance(price.custom, CustomPriceInput):
            return custom_rate(price.custom.rater, price.custom.parameters, path=(*path, "custom"))
        if isinstance(price.package, PackageInput):
            return Package(price.package.size, price.package.package_price)
        return Tiered(tuple(Tier(tier.size, tier.unit_price) for tier in price.tiered or ()))
    except ValueError as error:
        raise InvalidInput(ErrorCode.INVALID, f"The price is not acceptable: {error}.", path=path) from error
