"""A contract's own prices: which override counts, and what it makes of the list price.

Owns the precedence of semantics 4.5 and the arithmetic of multipliers. Which list price applies is left to `pricing`.
One override sets the price and they never stack, so a line can always name the one that did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from app.core.custom import Custom
from app.core.money import ONE, ZERO, canonical, exact, parse_decimal
from app.core.per_event import PercentagePerEvent
from app.core.period import Frequency
from app.core.quantities import UsageKey
from app.core.rates import (
    Flat,
    Package,
    Percentage,
    Rate,
    Slice,
    Tier,
    Tiered,
    TieredPercentage,
    Volume,
    is_graduated,
    rate_from_json,
    rate_to_json,
    slices,
)
from app.core.terms import (
    Multiplier,
    MultiplierTier,
    Override,
    OverridePriority,
    Overwrite,
    PriceChange,
    Product,
    Specifier,
    TieredMultiplier,
)


def overrides_at(
    overrides: Iterable[Override], *, product: Product, key: UsageKey, at: datetime, frequency: Frequency | None = None
) -> tuple[Override, ...]:
    """The overrides that reach usage, or a subscription of that frequency, at an instant; in the order of addition.

    Commit-specific ones do not count here.
    """
    found = (
        item
        for item in overrides
        if not item.is_commit_specific and item.period.contains(at) and reaches(item, product, key, frequency)
    )
    return tuple(sorted(found, key=lambda item: (item.added, item.id)))


def reaches(override: Override, product: Product, key: UsageKey, frequency: Frequency | None = None) -> bool:
    """True when one of the specifiers holds whole.

    Usage has no billing frequency, so none that asks for one holds; a subscription is reached only by one that names
    its product and its frequency (semantics 4.5).
    """
    return any(
        _holds(specifier, product, key, frequency) and (frequency is None or specifier.product_id is not None)
        for specifier in override.specifiers
    )


def _holds(specifier: Specifier, product: Product, key: UsageKey, frequency: Frequency | None) -> bool:
    return (
        specifier.product_id in (None, product.id)
        and set(specifier.tags) <= set(product.tags)
        and set(specifier.pricing) <= set(key.pricing)
        and set(specifier.presentation) <= set(key.presentation)
        and specifier.billing_frequency == frequency
    )


def price_override(found: Sequence[Override], priority: OverridePriority) -> Override | None:
    """The override that sets the price among those that reach the usage, in the order of addition.

    An overwrite goes before every multiplier, the last added first. Among multipliers the lowest counts, or the lowest
    priority number; of equals the last added.
    """
    overwrites = [item for item in found if isinstance(item.change, Overwrite)]
    if overwrites:
        return overwrites[-1]
    multipliers = [item for item in found if item.change is not None]
    return min(reversed(multipliers), key=lambda item: _rank(item, priority), default=None)


def _rank(override: Override, priority: OverridePriority) -> Decimal:
    if priority is OverridePriority.EXPLICIT:
        assert override.priority is not None, "with explicit priorities every multiplier has one"
        return Decimal(override.priority)
    assert isinstance(override.change, Multiplier), "tiered multipliers need explicit priorities"
    return override.change.factor


def entitlement(found: Sequence[Override], *, listed: bool) -> bool:
    """Whether the usage is billed: the last added override that says something, else the rate (golden decision 20)."""
    return next((item.entitled for item in reversed(found) if item.entitled is not None), listed)


def change_instants(overrides: Collection[Override]) -> set[datetime]:
    """Every instant at which some override begins or ends; a statement is split there."""
    ends = {item.period.ending_before for item in overrides if item.period.ending_before is not None}
    return {item.period.starting_at for item in overrides} | ends


def overridden_slices(
    rate: Rate, change: PriceChange | None, *, before: Decimal, quantity: Decimal
) -> tuple[Slice, ...]:
    """`quantity` split by price as in `rates.slices`, at the list price after a change.

    Slices keep the tier of the rate; a tiered multiplier cuts them further, from the same position on.
    """
    match change:
        case None:
            return slices(rate, before=before, quantity=quantity)
        case Overwrite(other):
            return slices(other, before=before, quantity=quantity)
        case Multiplier(factor):
            return slices(scaled(rate, factor), before=before, quantity=quantity)
        case TieredMultiplier() if not _is_table(rate):
            return tuple(_banded_slices(rate, change, before=before, quantity=quantity))
        case TieredMultiplier():  # pragma: no branch - the type checker proves that no case is missing
            bands = _combined(rate, change)
            table = Tiered(tuple(Tier(band.size, band.price) for band in bands))
            return tuple(
                part._replace(level=band.level, tier_starting_at=band.tier_starting_at, tier_size=band.tier_size)
                for part in slices(table, before=before, quantity=quantity)
                for band in (bands[(part.level or 1) - 1],)
            )


def overridden_rate(rate: Rate, change: PriceChange) -> Rate | None:
    """The whole price after a change, for reading: bands of a tiered multiplier become tiers.

    None for a tiered multiplier of a price that is no table of graduated prices: no single one says what becomes of it.
    """
    match change:
        case Overwrite(other):
            return other
        case Multiplier(factor):
            return scaled(rate, factor)
        case TieredMultiplier() if not _is_table(rate):
            return None
        case TieredMultiplier():  # pragma: no branch - as above
            tiers = tuple(Tier(band.size, band.price) for band in _combined(rate, change))
            return TieredPercentage(tiers) if isinstance(rate, Percentage | TieredPercentage) else Tiered(tiers)


def rate_after(listed: Rate, chosen: Override | None) -> Rate:
    """The rate whose kind decides what a quantity must be: the list's own, unless it was overwritten."""
    return chosen.change.rate if chosen is not None and isinstance(chosen.change, Overwrite) else listed


def scaled(rate: Rate, factor: Decimal) -> Rate:
    """The rate with each of its prices multiplied."""
    with exact():
        match rate:
            case Flat(price):
                return Flat(price * factor)
            case Percentage(fraction):
                return Percentage(fraction * factor)
            case Tiered(tiers):
                return Tiered(tuple(Tier(tier.size, tier.price * factor) for tier in tiers))
            case TieredPercentage(tiers):
                return TieredPercentage(tuple(Tier(tier.size, tier.price * factor) for tier in tiers))
            case Volume(tiers):
                return Volume(tuple(Tier(tier.size, tier.price * factor) for tier in tiers))
            case Custom():
                return replace(rate, factor=rate.factor * factor)
            case PercentagePerEvent():
                return rate.scaled(factor)
            case Package(size, price):  # pragma: no branch - as above
                return Package(size, price * factor)


def _is_table(rate: Rate) -> bool:
    """Whether the bands of a multiplier can be laid over the bands of the rate."""
    return is_graduated(rate) and not isinstance(rate, Custom)


def _banded_slices(rate: Rate, change: TieredMultiplier, *, before: Decimal, quantity: Decimal) -> Iterator[Slice]:
    """Each band of the multiplier priced by itself, for rates without bands of their own."""
    after, lower = before + quantity, ZERO
    sized = [(tier.size, tier.factor) for tier in change.tiers]
    open_ended = sized if sized[-1][0] is None else [*sized, (None, ONE)]
    for number, (size, factor) in enumerate(open_ended):
        upper = None if size is None else lower + size
        start, end = (_clipped(position, None if number == 0 else lower, upper) for position in (before, after))
        yield from slices(scaled(rate, factor), before=start, quantity=end - start)
        lower = upper or lower


def _clipped(position: Decimal, lower: Decimal | None, upper: Decimal | None) -> Decimal:
    position = position if lower is None else max(position, lower)
    return position if upper is None else min(position, upper)


@dataclass(frozen=True, slots=True)
class _Band:
    """A stretch of the quantity: its end (None: without), the price or factor in it, and the tier of the rate."""

    upper: Decimal | None
    size: Decimal | None
    price: Decimal
    level: int | None = None
    tier_starting_at: Decimal | None = None
    tier_size: Decimal | None = None


def _combined(rate: Rate, change: TieredMultiplier) -> list[_Band]:
    """The bands in which neither the tier of the rate nor the factor changes; equal neighbours are one band."""
    prices = _bands_of_rate(rate)
    factors = _bands([(tier.size, tier.factor) for tier in change.tiers])
    if change.tiers[-1].size is not None:
        factors.append(_Band(None, None, ONE))
    found: list[_Band] = []
    lower = ZERO
    with exact():
        while True:
            price, factor = _first_beyond(prices, lower), _first_beyond(factors, lower)
            uppers = [upper for upper in (price.upper, factor.upper) if upper is not None]
            upper = min(uppers, default=None)
            start = lower
            band = replace(price, upper=upper, price=price.price * factor.price)
            if found and replace(found[-1], upper=None, size=None) == replace(band, upper=None, size=None):
                start = ZERO if len(found) == 1 else cast("Decimal", found[-2].upper)
                found.pop()
            found.append(replace(band, size=None if upper is None else upper - start))
            if upper is None:
                return found
            lower = upper


def _bands_of_rate(rate: Rate) -> list[_Band]:
    match rate:
        case Flat(price) | Percentage(price):
            return [_Band(None, None, price)]
        case _:
            assert isinstance(rate, Tiered | TieredPercentage), "only graduated rates are combined with bands"
            tiers = rate.tiers
            # The last tier has no end, whatever size it was given.
            sizes = [*(tier.size for tier in tiers[:-1]), None]
            bands = _bands([(size, tier.price) for size, tier in zip(sizes, tiers, strict=True)])
            starts = [ZERO, *(cast("Decimal", band.upper) for band in bands[:-1])]
            return [
                replace(band, level=level, tier_starting_at=start, tier_size=band.size)
                for level, (band, start) in enumerate(zip(bands, starts, strict=True), start=1)
            ]


def _bands(parts: Sequence[tuple[Decimal | None, Decimal]]) -> list[_Band]:
    bands: list[_Band] = []
    lower = ZERO
    with exact():
        for size, price in parts:
            upper = None if size is None else lower + size
            bands.append(_Band(upper, size, price))
            lower = upper or ZERO
    return bands


def _first_beyond(bands: Sequence[_Band], position: Decimal) -> _Band:
    return next(band for band in bands if band.upper is None or band.upper > position)


def specifier_to_json(specifier: Specifier) -> dict[str, object]:
    """The stored form of a specifier, without what it leaves open."""
    form: dict[str, object] = {
        "product": None if specifier.product_id is None else str(specifier.product_id),
        "tags": list(specifier.tags),
        "pricing": dict(specifier.pricing),
        "presentation": dict(specifier.presentation),
        "billing_frequency": specifier.billing_frequency,
        "grants": [str(identifier) for identifier in specifier.grant_ids],
        "recurring": [str(identifier) for identifier in specifier.recurring_ids],
    }
    return {name: value for name, value in form.items() if value}


def specifier_from_json(form: Mapping[str, Any]) -> Specifier:
    """The specifier of a stored form."""
    return Specifier(
        product_id=UUID(form["product"]) if "product" in form else None,
        tags=tuple(form.get("tags", ())),
        pricing=tuple(sorted(form.get("pricing", {}).items())),
        presentation=tuple(sorted(form.get("presentation", {}).items())),
        billing_frequency=Frequency(form["billing_frequency"]) if "billing_frequency" in form else None,
        grant_ids=tuple(UUID(identifier) for identifier in form.get("grants", ())),
        recurring_ids=tuple(UUID(identifier) for identifier in form.get("recurring", ())),
    )


def change_to_json(change: PriceChange) -> dict[str, object]:
    """The stored form of a price change: `type` and decimals as canonical text."""
    match change:
        case Multiplier(factor):
            return {"type": "MULTIPLIER", "multiplier": canonical(factor)}
        case Overwrite(rate):
            return {"type": "OVERWRITE", "rate": rate_to_json(rate)}
        case TieredMultiplier(tiers):  # pragma: no branch - as above
            sizes = ({} if tier.size is None else {"size": canonical(tier.size)} for tier in tiers)
            pairs = zip(sizes, tiers, strict=True)
            return {"type": "TIERED", "tiers": [{**size, "multiplier": canonical(tier.factor)} for size, tier in pairs]}


def change_from_json(form: Mapping[str, Any]) -> PriceChange:
    """The price change of a stored form. ValueError or KeyError for one that is none."""
    if form["type"] == "MULTIPLIER":
        return Multiplier(parse_decimal(form["multiplier"]))
    if form["type"] == "OVERWRITE":
        return Overwrite(rate_from_json(form["rate"]))
    if form["type"] == "TIERED":
        return TieredMultiplier(
            tuple(
                MultiplierTier(
                    parse_decimal(tier["size"]) if "size" in tier else None, parse_decimal(tier["multiplier"])
                )
                for tier in form["tiers"]
            )
        )
    raise ValueError(f"a price change is MULTIPLIER, OVERWRITE or TIERED, not {str(form['type'])[:40]}")
