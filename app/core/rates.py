"""The kinds of price and how each prices a quantity.

Owns the rate values, their JSON form and the graduated arithmetic. Which rate applies when is left to `pricing`. A
rate never sees a date or a customer, so any price can be tried on any quantity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, cast

from app.core.custom import Custom
from app.core.money import ZERO, canonical, exact, parse_decimal
from app.core.per_event import EventPart, Measure, PercentagePerEvent


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


@dataclass(frozen=True, slots=True)
class Volume:
    """All units at the price of the tier in which the period's quantity lies; growing into a cheaper one reprices them.

    Tiers as in `Tiered`: the lower bound belongs to the tier below.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _require_tiers(self.tiers)


@dataclass(frozen=True, slots=True)
class Package:
    """A price for each begun package of `size` units of the period's quantity; its quantity is that of packages."""

    size: Decimal
    price: Decimal

    def __post_init__(self) -> None:
        _require_price(self.price)
        if not (self.size.is_finite() and self.size > 0):
            raise ValueError(f"a package's size must be above 0, not {self.size}")


Rate = Flat | Tiered | Percentage | TieredPercentage | Volume | Package | Custom | PercentagePerEvent


class Slice(NamedTuple):
    """The part of a quantity that has one price. `level` counts tiers from 1; a flat price has none.

    `tier_starting_at` is the quantity at which the tier begins, `tier_size` its width (None: without end); `before` is
    the lowest position of its units, from which another price table would count on. `part` tells which events a price
    per event counts in it.
    """

    level: int | None
    tier_starting_at: Decimal | None
    tier_size: Decimal | None
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    before: Decimal = ZERO
    part: EventPart | None = None


def slices(rate: Rate, *, before: Decimal, quantity: Decimal) -> tuple[Slice, ...]:
    """`quantity` split by price, from the position `before` on; by tier from low to high, without empty slices.

    A negative quantity moves back down through the tiers with negative slices, so the sum over any way of splitting a
    quantity is the same for each tier. Positions below zero belong to the first tier. Amounts are exact. A price per
    event asks for more than a quantity (`slices_per_event`).
    """
    assert not isinstance(rate, PercentagePerEvent), "what events cost one by one does not follow from their sum"
    with exact():
        match rate:
            case Flat(price) | Percentage(price):
                low = min(before, before + quantity)
                part = Slice(None, None, None, quantity, price, quantity * price, low)
                return (part,) if quantity else ()
            case Tiered(tiers) | TieredPercentage(tiers):
                return tuple(_tier_slices(tiers, before=before, quantity=quantity))
            case Volume(tiers):
                return tuple(_volume_slices(tiers, before=before, after=before + quantity))
            case Custom():
                return tuple(_custom_slices(rate, before=before, quantity=quantity))
            case Package(size, price):  # pragma: no branch - the type checker proves it is the last
                packages = _packages(before + quantity, size) - _packages(before, size)
                return (Slice(None, None, None, packages, price, packages * price, before),) if packages else ()


def slices_per_event(
    rate: PercentagePerEvent, counted: Mapping[Measure, Decimal], *, factor: Decimal
) -> tuple[Slice, ...]:
    """What each part of the events costs at a price per event multiplied by a factor, without empty slices.

    `counted` is the quantity of each part as the price itself, not multiplied, divides the events. Amounts are exact.
    """
    scaled, found = rate.scaled(factor), list[Slice]()
    with exact():
        for part in EventPart:
            quantity = counted.get(Measure(rate, part), ZERO)
            if quantity:
                price = scaled.price_of(part)
                found.append(Slice(None, None, None, quantity, price, quantity * price, part=part))
    return tuple(found)


def is_graduated(rate: Rate) -> bool:
    """Whether a unit's price depends on its own position only, so that the units of a quantity share it out."""
    return not isinstance(rate, Volume | Package | PercentagePerEvent)


def price_of_whole(rate: Volume | Package, quantity: Decimal) -> Decimal:
    """The price of each unit, or package, where `quantity` is all that there is; there may be nothing."""
    return rate.price if isinstance(rate, Package) else _band_of(list(_numbered(rate.tiers)), quantity)[2].price


def _tier_slices(tiers: tuple[Tier, ...], *, before: Decimal, quantity: Decimal) -> Iterator[Slice]:
    after = before + quantity
    low, high = min(before, after), max(before, after)
    for level, lower, tier in _numbered(tiers):
        upper = None if tier.size is None else lower + tier.size
        bottom = low if level == 1 else max(low, lower)
        top = high if upper is None else min(high, upper)
        if top > bottom:
            part = top - bottom if quantity > 0 else bottom - top
            yield Slice(level, lower, tier.size, part, tier.price, part * tier.price, bottom)


def _volume_slices(tiers: tuple[Tier, ...], *, before: Decimal, after: Decimal) -> Iterator[Slice]:
    """What was counted so far is given back at its old price where the quantity grows or shrinks into another tier."""
    bands = list(_numbered(tiers))
    old, new = _band_of(bands, before), _band_of(bands, after)
    for (level, lower, tier), quantity, start in (
        [(new, after - before, before)] if old == new else [(old, -before, before), (new, after, ZERO)]
    ):
        if quantity:
            yield Slice(level, lower, tier.size, quantity, tier.price, quantity * tier.price, start)


def _custom_slices(rate: Custom, *, before: Decimal, quantity: Decimal) -> Iterator[Slice]:
    """A rater only ever looks upwards: a quantity that is taken back has the steps of the units that it gives back."""
    if not quantity:
        return
    assert rate.steps is not None, "whoever reads a rate passes the rater in"
    bottom = min(before, before + quantity)
    for size, price in rate.steps(bottom, max(before, before + quantity)):
        part, unit_price = size if quantity > 0 else -size, price * rate.factor
        yield Slice(None, None, None, part, unit_price, part * unit_price, bottom)
        bottom += size


def _numbered(tiers: tuple[Tier, ...]) -> Iterator[tuple[int, Decimal, Tier]]:
    """Each tier with its number and the quantity at which it begins; the last one has no end."""
    lower = ZERO
    for level, tier in enumerate(tiers, start=1):
        last = level == len(tiers)
        yield level, lower, Tier(None, tier.price) if last else tier
        lower += tier.size or ZERO


def _band_of(bands: Sequence[tuple[int, Decimal, Tier]], quantity: Decimal) -> tuple[int, Decimal, Tier]:
    return next(band for band in bands if band[2].size is None or quantity <= band[1] + band[2].size)


def _packages(quantity: Decimal, size: Decimal) -> Decimal:
    """How many packages are begun; a negative quantity gives back whole ones."""
    whole, rest = divmod(Fraction(quantity), Fraction(size))
    return Decimal(whole + (1 if rest else 0))


def rate_to_json(rate: Rate) -> dict[str, object]:
    """The stored form: `type` and decimals as canonical strings, so that equal rates have equal text."""
    match rate:
        case Flat(price):
            return {"type": "FLAT", "price": canonical(price)}
        case Percentage(fraction):
            return {"type": "PERCENTAGE", "price": canonical(fraction)}
        case PercentagePerEvent(fraction, minimum, maximum):
            bounds = {"minimum": minimum, "maximum": maximum}
            given = {name: canonical(bound) for name, bound in bounds.items() if bound is not None}
            return {"type": "PERCENTAGE_PER_EVENT", "price": canonical(fraction), **given}
        case Package(size, price):
            return {"type": "PACKAGE", "size": canonical(size), "price": canonical(price)}
        case Custom(rater, parameters, release):
            form: dict[str, object] = {"type": "CUSTOM", "rater": rater, "parameters": json.loads(parameters)}
            return form | ({"release": release} if release else {})
        case Tiered(tiers) | TieredPercentage(tiers) | Volume(tiers):  # pragma: no branch - as above
            kind = next(kind for kind, of in _TIERED.items() if isinstance(rate, of))
            return {"type": kind, "tiers": [_tier_to_json(tier) for tier in tiers]}


def rate_from_json(value: Mapping[str, object]) -> Rate:
    """The rate of a stored form. ValueError for a type that there is not, or for parts that do not fit it."""
    price, tiers, size, kind = value.get("price"), value.get("tiers"), value.get("size"), value.get("type")
    if set(value) == {"type", "price"} and kind in ("FLAT", "PERCENTAGE") and isinstance(price, str):
        return Flat(parse_decimal(price)) if kind == "FLAT" else Percentage(parse_decimal(price))
    if set(value) == {"type", "tiers"} and isinstance(kind, str) and kind in _TIERED and isinstance(tiers, list):
        return _TIERED[kind](tuple(_tier_from_json(tier) for tier in cast("list[object]", tiers)))
    if (
        set(value) == {"type", "size", "price"}
        and kind == "PACKAGE"
        and isinstance(size, str)
        and isinstance(price, str)
    ):
        return Package(parse_decimal(size), parse_decimal(price))
    if (
        kind == "PERCENTAGE_PER_EVENT"
        and set(value) <= {"type", "price", "minimum", "maximum"}
        and isinstance(price, str)
    ):
        return PercentagePerEvent(parse_decimal(price), *(_bound(value.get(name)) for name in ("minimum", "maximum")))
    rater, parameters, release = value.get("rater"), value.get("parameters"), value.get("release", "")
    if kind == "CUSTOM" and isinstance(rater, str) and isinstance(parameters, dict) and isinstance(release, str):
        return Custom(rater, canonical_parameters(cast("dict[str, object]", parameters)), release)
    raise ValueError(
        "a rate is {type: FLAT or PERCENTAGE, price}, {type: TIERED, TIERED_PERCENTAGE or VOLUME, tiers: [{size, price}]} "
        "or {type: PACKAGE, size, price} or {type: PERCENTAGE_PER_EVENT, price, minimum, maximum} or {type: CUSTOM, rater, "
        "parameters}; decimals are text"
    )


def _bound(value: object) -> Decimal | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("the bounds of a price per event are text")
    return None if value is None else parse_decimal(value)


def canonical_parameters(parameters: Mapping[str, object]) -> str:
    """The one text of a rater's parameters, so that equal ones are equal."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_TIERED: Mapping[str, type[Tiered] | type[TieredPercentage] | type[Volume]] = {
    "TIERED": Tiered, "TIERED_PERCENTAGE": TieredPercentage, "VOLUME": Volume,
}  # fmt: skip


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
