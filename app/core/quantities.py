"""From what a metric measures to what a product is priced by: versions, conversion, rounding, groups.

Owns the order aggregate, convert, round (semantics 2.3). All of it works on the cumulative value and is differenced by
hour, so that the hours always add up to the quantity of the statement and a price change meets the hour it happened in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from app.core.conversions import converted, rounded
from app.core.metering import HourQuantity, HoursByGroup
from app.core.money import ZERO, canonical, exact, parse_decimal
from app.core.per_event import EventPart, Measure, PercentagePerEvent, measures_of
from app.core.period import HOUR, SINCE_EVER, Period
from app.core.rates import rate_from_json, rate_to_json
from app.core.terms import Group, Product, ProductVersion


class UsageKey(NamedTuple):
    """What usage is priced together: one product and one combination of its pricing and presentation values.

    With a `measure` it names what a price per event asks for besides, in hours that add up like those of the usage.
    """

    product_id: UUID
    pricing: Group = ()
    presentation: Group = ()
    measure: Measure | None = None

    @property
    def of_usage(self) -> UsageKey:
        """The usage that it is about."""
        return self if self.measure is None else self._replace(measure=None)


Usage = Mapping[UsageKey, Sequence[HourQuantity]]


MetricSplit = tuple[UUID, tuple[str, ...]]
"""A metric, and the properties by which its hours are split; they may be split by more where hours may be added."""


MeasuredSplit = tuple[UUID, tuple[str, ...], Measure]
"""What a price per event asks of a metric, split by exactly these properties."""
Split = MetricSplit | MeasuredSplit


class UsageParts(NamedTuple):
    """The usage of one key, and by measure what prices per event ask of it."""

    hours: Sequence[HourQuantity]
    measured: Mapping[Measure, Sequence[HourQuantity]]


def parts_by_key(usage: Usage) -> Iterable[tuple[UsageKey, UsageParts]]:
    """The usage of each key with what is measured of it, in the order of first sight; no key has a measure."""
    if all(key.measure is None for key in usage):
        return [(key, UsageParts(hours, {})) for key, hours in usage.items()]
    found: dict[UsageKey, dict[Measure, Sequence[HourQuantity]]] = {}
    for key, hours in usage.items():
        measured = found.setdefault(key.of_usage, {})
        if key.measure is not None:
            measured[key.measure] = hours
    return [(key, UsageParts(usage.get(key, ()), measured)) for key, measured in found.items()]


def group_names_of(keys: Product | ProductVersion) -> tuple[str, ...]:
    """Every property by which usage is split, sorted."""
    return tuple(sorted({*keys.pricing_group_key, *keys.presentation_group_key}))


def split_of(version: ProductVersion) -> MetricSplit:
    """Which hours measure a version."""
    return version.metric_id, group_names_of(version)


def is_priced_per_event(version: ProductVersion) -> bool:
    """Whether each event has a price of its own: what is converted or rounded is the sum of all of them."""
    return version.conversion is None and version.rounding is None


def versions_in(product: Product, period: Period) -> tuple[ProductVersion, ...]:
    """The versions in force in some part of the period, by start; none for a product that nothing measures."""
    return tuple(version for version, _ in _stretches(product, period))


def _stretches(product: Product, period: Period) -> list[tuple[ProductVersion, Period]]:
    """The versions of a period, each with the part of the period in which it is in force."""
    if product.metric_id is None:
        return []
    first = ProductVersion(
        SINCE_EVER, product.metric_id, product.conversion, product.rounding,
        product.pricing_group_key, product.presentation_group_key, product.sql_granularity,
    )  # fmt: skip
    if not product.versions:
        return [(first, period)]
    versions = (first, *product.versions)
    ends = [*(version.starting_at for version in product.versions), None]
    found = ((one, period.intersect(Period(one.starting_at, end))) for one, end in zip(versions, ends, strict=True))
    return [(version, part) for version, part in found if part is not None]


def at_the_end(hours_by_group: HoursByGroup, period: Period) -> HoursByGroup:
    """The same quantities, whole in the last hour of the period (semantics 1.4, SERVICE_PERIOD)."""
    assert period.ending_before is not None, "a statement has an end"
    found: dict[Group, tuple[HourQuantity, ...]] = {}
    for group, hours in hours_by_group.items():
        with exact():
            total = sum((item.quantity for item in hours), ZERO)
        if total:
            found[group] = (HourQuantity(period.ending_before - HOUR, total),)
    return found


class _SameKeys(NamedTuple):
    """Stretches of a period with the same group keys; `is_plain` where one is the whole period, and measured as it is."""

    stretches: tuple[tuple[ProductVersion, Period], ...]
    splits: tuple[MetricSplit, ...]
    is_plain: bool


class Measuring(NamedTuple):
    """How a product is measured in a period: the same for every contract that sells it, so asked once for all of them.

    `splits` are of the versions in the period, `measured` of what prices per event ask for; `last` is the version at
    the end, None for a product that nothing measures.
    """

    product_id: UUID
    splits: tuple[MetricSplit, ...]
    measured: tuple[tuple[MeasuredSplit, tuple[ProductVersion, Period]], ...]
    by_keys: tuple[_SameKeys, ...]
    last: ProductVersion | None

    @classmethod
    def of(cls, product: Product, period: Period) -> Measuring:
        """That of a product in a period."""
        stretches = _stretches(product, period)
        together: dict[tuple[frozenset[str], frozenset[str]], list[tuple[ProductVersion, Period]]] = {}
        for version, part in stretches:
            keys = frozenset(version.pricing_group_key), frozenset(version.presentation_group_key)
            together.setdefault(keys, []).append((version, part))
        measured = [
            ((*split_of(version), measure), (version, part))
            for version, part in (stretches if product.per_event else ())
            if is_priced_per_event(version)
            for measure in measures_of(product.per_event)
        ]
        return cls(
            product.id,
            _splits(stretches),
            tuple(measured),
            tuple(_SameKeys(tuple(parts), _splits(parts), _is_plain(parts, period)) for parts in together.values()),
            stretches[-1][0] if stretches else None,
        )

    @property
    def all_splits(self) -> tuple[Split, ...]:
        """Everything that must be read for it."""
        return (*self.splits, *dict.fromkeys(split for split, _ in self.measured))

    def usage(self, hours_by_split: Mapping[Split, HoursByGroup]) -> dict[UsageKey, list[HourQuantity]]:
        """The usage of the product from the hours of the metrics that measure it.

        Each hour is split by the group keys in force in it. Usage of other keys is other usage: it is counted and rounded
        by itself, from 0 at the change, and keys that return go on from where they were.

        *Shapes*: hours for each of `all_splits`; a name that is in both group keys has its value in both. The hours of
        every metric start from 0 at the period's start.
        """
        found: dict[UsageKey, list[HourQuantity]] = {}
        for same in self.by_keys:
            found.update(_usage_of_keys(self.product_id, same, hours_by_split))
        # What prices per event ask of the usage: of each version in its own hours, as every event stands for itself.
        for split, (version, part) in self.measured:
            for group, hours in hours_by_split[split].items():
                inside = [item for item in hours if part.contains(item.hour)]
                if inside:
                    key = _key_of(self.product_id, version, group)._replace(measure=split[2])
                    found.setdefault(key, []).extend(inside)
        return found


def usage_of(
    product: Product, hours_by_split: Mapping[Split, HoursByGroup], period: Period
) -> dict[UsageKey, list[HourQuantity]]:
    """The usage of a product in a statement period; shapes as of `Measuring.usage`."""
    return Measuring.of(product, period).usage(hours_by_split)


def _splits(stretches: Iterable[tuple[ProductVersion, Period]]) -> tuple[MetricSplit, ...]:
    return tuple(dict.fromkeys(split_of(version) for version, _ in stretches))


def _is_plain(stretches: Sequence[tuple[ProductVersion, Period]], period: Period) -> bool:
    [(first, part), *others] = stretches
    return not others and part == period and first.conversion is None and first.rounding is None


def _key_of(product_id: UUID, version: ProductVersion, group: Group) -> UsageKey:
    if not group:
        return UsageKey(product_id)
    return UsageKey(
        product_id,
        tuple(pair for pair in group if pair[0] in version.pricing_group_key),
        tuple(pair for pair in group if pair[0] in version.presentation_group_key),
    )


def _usage_of_keys(
    product_id: UUID, same: _SameKeys, hours_by_split: Mapping[Split, HoursByGroup]
) -> dict[UsageKey, list[HourQuantity]]:
    """The usage in stretches with the same group keys."""
    first = same.stretches[0][0]
    if same.is_plain:
        plain: dict[UsageKey, list[HourQuantity]] = {}
        for group, hours in hours_by_split[same.splits[0]].items():
            plain.setdefault(_key_of(product_id, first, group), []).extend(hours)
        return plain
    by_key: dict[UsageKey, dict[UUID, list[HourQuantity]]] = {}
    for metric_id, names in same.splits:
        for group, hours in hours_by_split[metric_id, names].items():
            key = _key_of(product_id, first, group)
            by_key.setdefault(key, {}).setdefault(metric_id, []).extend(hours)
    found = {key: list(_increments(same.stretches, by_metric)) for key, by_metric in by_key.items()}
    return {key: hours for key, hours in found.items() if hours}


def _increments(
    stretches: Sequence[tuple[ProductVersion, Period]], by_metric: Mapping[UUID, Sequence[HourQuantity]]
) -> Iterator[HourQuantity]:
    """The differences of the rounded cumulative quantity, hour by hour.

    A change of metric or conversion at s continues as B(t) + A(s) - B(s), before rounding; what another rounding makes
    of the quantity so far falls into the hour of the change (golden decision 6).
    """
    position = reached = ZERO
    for version, part in stretches:
        hours = _summed(by_metric.get(version.metric_id, ()))
        measured = _sum_before(hours, part.starting_at)
        continued = position - converted(measured, version.conversion)
        moments = [hour for hour in hours if part.contains(hour)]
        for hour in dict.fromkeys([part.starting_at, *moments]):
            with exact():
                measured += hours.get(hour, ZERO)
                position = continued + converted(measured, version.conversion)
                target = rounded(position, version.rounding)
                increment, reached = target - reached, target
            if increment:
                yield HourQuantity(hour, increment)


def _summed(hours: Iterable[HourQuantity]) -> dict[datetime, Decimal]:
    sums: dict[datetime, Decimal] = {}
    with exact():
        for item in hours:
            sums[item.hour] = sums.get(item.hour, ZERO) + item.quantity
    return dict(sorted(sums.items()))


def _sum_before(hours: Mapping[datetime, Decimal], instant: datetime) -> Decimal:
    with exact():
        return sum((quantity for hour, quantity in hours.items() if hour < instant), ZERO)


def usage_to_json(usage: Usage) -> list[dict[str, object]]:
    """The stored form of hourly usage, in an order of its own; hours ascend."""
    # Hours that products have in common are written once.
    texts = {hour: hour.isoformat() for hour in {item.hour for hours in usage.values() for item in hours}}
    entries = [_entry_to_json(key, hours, texts) for key, hours in usage.items()]
    # In the order of their texts, which all begin with the product: what follows it tells only entries of one apart.
    is_told_apart = len({key.product_id for key in usage}) == len(entries)
    return sorted(entries, key=itemgetter("product") if is_told_apart else json.dumps)


def usage_from_json(form: Sequence[Mapping[str, Any]]) -> dict[UsageKey, list[HourQuantity]]:
    """The hourly usage that an invoice was made from."""
    return {
        key_from_json(item): [
            HourQuantity(datetime.fromisoformat(hour), parse_decimal(quantity)) for hour, quantity in item["hours"]
        ]
        for item in form
    }


def key_from_json(form: Mapping[str, Any]) -> UsageKey:
    """The product and the group of an entry of frozen usage."""
    measure = None
    if "measure" in form:
        rate = rate_from_json(form["measure"]["rate"])
        assert isinstance(rate, PercentagePerEvent), "nothing else is measured"
        measure = Measure(rate, EventPart(form["measure"]["part"]))
    pricing, presentation = (tuple(sorted(form[name].items())) for name in ("pricing", "presentation"))
    return UsageKey(UUID(form["product"]), pricing, presentation, measure)


def _entry_to_json(key: UsageKey, hours: Sequence[HourQuantity], texts: Mapping[datetime, str]) -> dict[str, object]:
    ascending = sorted(hours, key=lambda item: item.hour)
    return {
        "product": str(key.product_id),
        "pricing": dict(key.pricing),
        "presentation": dict(key.presentation),
        **({} if key.measure is None else {"measure": _measure_to_json(key.measure)}),
        "hours": [[texts[item.hour], canonical(item.quantity)] for item in ascending],
    }


def _measure_to_json(measure: Measure) -> dict[str, object]:
    return {"rate": rate_to_json(measure.rate), "part": measure.part}
