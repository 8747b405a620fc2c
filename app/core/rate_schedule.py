"""What a list of prices says: its timelines laid flat, and what a contract makes of them at an instant.

Owns the reading of schedules (semantics 3.3). Which entry applies at an instant is settled in `pricing`, which override
counts in `overrides`; here the same answers are given for all instants and all products at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from app.core import overrides, pricing
from app.core.period import Frequency, Period
from app.core.quantities import UsageKey
from app.core.rates import Rate
from app.core.terms import Group, Override, Product, RateEntry, Terms


@dataclass(frozen=True, slots=True)
class Segment:
    """A price that holds for a stretch of time; `entry` is the first of those that say it one after another."""

    period: Period
    entry: RateEntry


@dataclass(frozen=True, slots=True)
class ContractRate:
    """What a contract makes of one price: the list's entry, the override that counts, and the price that it sets.

    `override_rate` is None without an override, and where no single price says what it makes of the list's. The
    `commit_specific` overrides price only what is drawn from a balance; they come in the order of addition.
    """

    product: Product
    pricing: Group
    listed: RateEntry
    override: Override | None
    override_rate: Rate | None
    commit_specific: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """Which prices to show; every given part must hold.

    `any_tags` asks for one of them on the product; `pricing` for exactly these values, `partial_pricing` for these
    among others; `billing_frequency` for prices of one.
    """

    product_id: UUID | None = None
    any_tags: tuple[str, ...] = ()
    pricing: Group | None = None
    partial_pricing: Group = ()
    billing_frequency: Frequency | None = None


def selected(selectors: Collection[Selector], entry: RateEntry, *, pricing: Group, tags: Collection[str]) -> bool:
    """True when any of the selectors holds for a price of these pricing values, or when there are none."""
    return not selectors or any(
        selector.product_id in (None, entry.product_id)
        and selector.billing_frequency in (None, entry.billing_frequency)
        and (not selector.any_tags or not set(selector.any_tags).isdisjoint(tags))
        and (selector.pricing is None or set(selector.pricing) == set(pricing))
        and set(selector.partial_pricing) <= set(pricing)
        for selector in selectors
    )


def rate_schedule(rates: Iterable[RateEntry], window: Period) -> tuple[Segment, ...]:
    """The segments that hold at some time in the window, each with its own bounds.

    A later entry replaces what was there on its own interval, and where it ends the earlier one resumes; neighbours
    that say the same are one segment.

    *Shapes*: by product id, pricing values, billing frequency, start. Segments of one timeline do not overlap; a gap is
    time without a price of these very values, where that of all values may still apply.
    """
    found: list[Segment] = []
    for timeline in pricing.rate_book(rates).values():
        found.extend(segment for segment in _segments(timeline) if segment.period.intersect(window))
    return tuple(
        sorted(
            found,
            key=lambda one: (
                _place((one.entry.product_id, one.entry.group_values, one.entry.billing_frequency)),
                one.period.starting_at,
            ),
        )
    )


def contract_rates(terms: Terms, *, at: datetime) -> tuple[ContractRate, ...]:
    """The prices to which a contract entitles at an instant, after its overrides.

    *Shapes*: one for each timeline of the card that has a price then, and one for each combination of pricing values
    that an override names in full; in the card's order of products, then by name, product id, pricing values.
    """
    book = pricing.rate_book(terms.rates)
    products = {product.id: product for product in terms.products}
    specific = [item for item in terms.overrides if item.is_commit_specific and item.period.contains(at)]
    named = set(_named_keys(terms, at))
    found: list[ContractRate] = []
    for product_id, values, frequency in sorted({*_listed_keys(book), *named}, key=_place):
        entry = pricing.entry_at(book, product_id=product_id, pricing=values, at=at, billing_frequency=frequency)
        if entry is None or (entry.group_values != values and (product_id, values, frequency) not in named):
            continue
        product, key = products[product_id].at(at), UsageKey(product_id, values)
        reaching = overrides.overrides_at(terms.overrides, product=product, key=key, at=at, frequency=frequency)
        if not overrides.entitlement(reaching, listed=entry.entitled):
            continue
        chosen = overrides.price_override(reaching, terms.override_priority)
        change = None if chosen is None else chosen.change
        rate = None if change is None else overrides.overridden_rate(entry.rate, change)
        drawn = tuple(item for item in specific if overrides.reaches(item, product, key))
        found.append(ContractRate(product, values, entry, chosen, rate, drawn))
    places = {product_id: place for place, product_id in enumerate(terms.product_order)}
    return tuple(sorted(found, key=lambda one: (places.get(one.product.id, len(places)), one.product.name)))


def _segments(timeline: Sequence[RateEntry]) -> list[Segment]:
    """The segments of one timeline, whose entries come with the last added first."""
    found: list[Segment] = []
    for start, end in pairwise([*pricing.change_instants(timeline), None]):
        assert start is not None, "only the last stretch is without end"
        entry = next((entry for entry in timeline if entry.period.contains(start)), None)
        if entry is None:
            continue
        if found and found[-1].period.ending_before == start and _same(found[-1].entry, entry):
            before = found.pop()
            found.append(replace(before, period=Period(before.period.starting_at, end)))
        else:
            found.append(Segment(Period(start, end), entry))
    return found


def _same(one: RateEntry, other: RateEntry) -> bool:
    """True when two entries of one timeline say the same, whatever their own intervals are."""
    return replace(one, id=other.id, period=other.period, added=other.added) == other


_Key = tuple[UUID, Group, Frequency | None]


def _place(key: _Key) -> tuple[UUID, Group, str]:
    product_id, values, frequency = key
    return product_id, values, frequency or ""


def _listed_keys(book: pricing.RateBook) -> Iterator[_Key]:
    for timeline in book.values():
        yield timeline[0].product_id, timeline[0].group_values, timeline[0].billing_frequency


def _named_keys(terms: Terms, at: datetime) -> Iterator[_Key]:
    """Pricing values that an override in force names in full: they may have a price of their own only through it."""
    for override in terms.overrides:
        for specifier in override.specifiers if override.period.contains(at) else ():
            names = {name for name, _ in specifier.pricing}
            for product in (product.at(at) for product in terms.products):
                key = UsageKey(product.id, specifier.pricing)
                if names and names == set(product.pricing_group_key) and overrides.reaches(override, product, key):
                    yield product.id, specifier.pricing, None
