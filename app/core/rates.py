"""The kinds of price and how each prices a quantity.

Owns the rate values, their JSON form and the graduated arithmetic. Which rate applies when is left to `pricing`. A
rate never sees a date or a customer, so any price can be tried on any quantity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from app.core.money import ZERO, canonical, exact, parse_decimal


@dataclass(frozen=True, slots=True)
class Flat:
    """One price for every unit, in major units of the currency."""

    price: Decimal

    def __post_init__(self) -> None:
        _require_price(self.price)


@dataclass(frozen=True, slots=True)
class Tier:
    """A band of the quantity: `size` is its width, None for a band without end."""

    size: Decimal | None
    price: Decimal

    def __post_init__(self) -> None:
        _require_price(self.price)
        if self.size is not None and not (self.size.is_finite() and self.size > 0):
            raise ValueError(f"a tier's size must be above 0, not {self.size}")


@dataclass(frozen=True, slots=True)
class Tiered:
    """Graduated tiers: each band of the period's quantity has its own price; the lower bound belongs to the tier below.

    Only the last tier may be without size. If it has one, its price holds beyond it as well: a price table has no
    end, so that no quantity is ever without a price.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _require_tiers(self.tiers)


@dataclass(frozen=True, slots=True)
class Percentage:
    """A fraction of money, 0.1 for ten per cent; more than 1 is fine. The quantity is the money, in the card's unit."""

    fraction: Decimal

    def __post_init__(self) -> None:
        _require_price(self.fraction)


@dataclass(frozen=True, slots=True)
class TieredPercentage:
    """Graduated fractions: the bands are bands of the period's money, and their prices are fractions of it."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _require_tiers(self.tiers)


Rate = Flat | Tiered | Percentage | TieredPercentage


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a quantity that has one price. `level` counts tiers from 1; a flat price has none.

    `tier_starting_at` is the quantity at which the tier begins, `tier_size` its width (None: without end).
    """

    level: int | None
    tier_starting_at: Decimal | None
    tier_size: Decimal | None
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


def slices(rate: Rate, *, before: Decimal, quantity: Decimal) -> tuple[Slice, ...]:
    """`quantity` split by price, from the position `before` on; by tier from low to high, without empty slices.

    A negative quantity moves back down through the tiers with negative slices, so the sum over any way of splitting a
    quantity is the same for each tier. Positions below zero belong to the first tier. Amounts are exact.
    """
    with exact():
        match rate:
            case Flat(price) | Percentage(price):
                return (Slice(None, None, None, quantity, price, quantity * price),) if quantity else ()
            case Tiered(tiers) | TieredPercentage(tiers):  # pragma: no branch - the type checker proves it is the last
                return tuple(_tier_slices(tiers, before=before, quantity=quantity))


def _tier_slices(tiers: tuple[Tier, ...], *, before: Decimal, quantity: Decimal) -> Iterator[Slice]:
    after = before + quantity
    low, high = min(before, after), max(before, after)
    lower = ZERO
    for level, tier in enumerate(tiers, start=1):
        size = None if level == len(tiers) else tier.size
        upper = None if size is None else lower + size
        bottom = low if level == 1 else max(low, lower)
        top = high if upper is None else min(high, upper)
        if top > bottom:
            part = top - bottom if quantity > 0 else bottom - top
            yield Slice(level, lower, size, part, tier.price, part * tier.price)
        if upper is not None:
            lower = upper


def rate_to_json(rate: Rate) -> dict[str, object]:
    """The stored form: `type` and decimals as canonical strings, so that equal rates have equal text."""
    match rate:
        case Flat(price):
            return {"type": "FLAT", "price": canonical(price)}
        case Tiered(tiers):
            return {"type": "TIERED", "tiers": [_tier_to_json(tier) for tier in tiers]}
        case Percentage(fraction):
            return {"type": "PERCENTAGE", "price": canonical(fraction)}
        case TieredPercentage(tiers):  # pragma: no branch - as above
            return {"type": "TIERED_PERCENTAGE", "tiers": [_tier_to_json(tier) for tier in tiers]}


def rate_from_json(value: Mapping[str, object]) -> Rate:
    """The rate of a stored form. ValueError for a type that there is not, or for parts that do not fit it."""
    price, tiers, kind = value.get("price"), value.get("tiers"), value.get("type")
    if set(value) == {"type", "price"} and kind in ("FLAT", "PERCENTAGE") and isinstance(price, str):
        return Flat(parse_decimal(price)) if kind == "FLAT" else Percentage(parse_decimal(price))
    if set(value) == {"type", "tiers"} and kind in ("TIERED", "TIERED_PERCENTAGE") and isinstance(tiers, list):
        parts = tuple(_tier_from_json(tier) for tier in cast("list[object]", tiers))
        return Tiered(parts) if kind == "TIERED" else TieredPercentage(parts)
    raise ValueError(
        "a rate is {type: FLAT or PERCENTAGE, price} or {type: TIERED or TIERED_PERCENTAGE, tiers: [{size, price}]}; "
        "decimals are text"
    )


def _tier_to_json(tier: Tier) -> dict[str, object]:
    size = {} if tier.size is None else {"size": canonical(tier.size)}
    return {**size, "price": canonical(tier.price)}


def _tier_from_json(value: object) -> Tier:
    parts = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    size, price = parts.get("size"), parts.get("price")
    if isinstance(price, str) and set(parts) == {"price"}:
        return Tier(None, parse_decimal(price))
    if isinstance(price, str) and isinstance(size, str) and set(parts) == {"size", "price"}:
        return Tier(parse_decimal(size), parse_decimal(price))
    raise ValueError("a tier is {size, price} or {price}; decimals are text")


def _require_price(price: Decimal) -> None:
    if not (price.is_finite() and price >= 0):
        raise ValueError(f"a price must be 0 or more, not {price}")


def _require_tiers(tiers: tuple[Tier, ...]) -> None:
    if not tiers:
        raise ValueError("a tiered rate needs at least one tier")
    if any(tier.size is None for tier in tiers[:-1]):
        raise ValueError("only the last tier may be without size")
