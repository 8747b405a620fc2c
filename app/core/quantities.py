"""From what a metric measures to what a product is priced by: versions, conversion, rounding, groups.

Owns the order aggregate, convert, round (semantics 2.3). All of it works on the cumulative value and is differenced by
hour, so that the hours always add up to the quantity of the statement and a price change meets the hour it happened in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from app.core.metering import HourQuantity, HoursByGroup
from app.core.money import ZERO, canonical, divide, exact, parse_decimal, round_down, round_half_up, round_up
from app.core.period import HOUR, SINCE_EVER, Period
from app.core.terms import (
    Conversion,
    ConversionOperation,
    Group,
    Product,
    ProductVersion,
    Rounding,
    RoundingMethod,
)


class UsageKey(NamedTuple):
    """What usage is priced together: one product and one combination of its pricing and presentation values."""

    product_id: UUID
    pricing: Group = ()
    presentation: Group = ()


Usage = Mapping[UsageKey, Sequence[HourQuantity]]


def group_names_of(product: Product) -> tuple[str, ...]:
    """Every property by which the product's usage is split, sorted."""
    return tuple(sorted({*product.pricing_group_key, *product.presentation_group_key}))


def versions_in(product: Product, period: Period) -> tuple[ProductVersion, ...]:
    """The versions in force in some part of the period, by start; none for a product that nothing measures."""
    if product.metric_id is None:
        return ()
    first = ProductVersion(SINCE_EVER, product.metric_id, product.conversion, product.rounding)
    versions = (first, *product.versions)
    ends = [*(version.starting_at for version in product.versions), None]
    pairs = zip(versions, ends, strict=True)
    return tuple(version for version, end in pairs if period.intersect(Period(version.starting_at, end)))


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


def usage_of(
    product: Product, hours_by_metric: Mapping[UUID, HoursByGroup], period: Period
) -> dict[UsageKey, list[HourQuantity]]:
    """The usage of a product in a statement period from the hours of the metrics that measure it.

    *Shapes*: the metrics may be split by more properties than the product uses, where their hours may be added; a name
    that is in both group keys has its value in both. The hours of every metric start from 0 at the period's start.
    """
    versions = versions_in(product, period)
    by_key: dict[UsageKey, dict[UUID, list[HourQuantity]]] = {}
    for metric_id in dict.fromkeys(version.metric_id for version in versions):
        for group, hours in hours_by_metric[metric_id].items():
            key = UsageKey(
                product.id,
                tuple(pair for pair in group if pair[0] in product.pricing_group_key),
                tuple(pair for pair in group if pair[0] in product.presentation_group_key),
            )
            by_key.setdefault(key, {}).setdefault(metric_id, []).extend(hours)
    if len(versions) == 1 and versions[0].conversion is None and versions[0].rounding is None:
        return {key: hours for key, by_metric in by_key.items() for hours in by_metric.values()}
    found = {key: list(_increments(versions, by_metric, period)) for key, by_metric in by_key.items()}
    return {key: hours for key, hours in found.items() if hours}


def conversion_to_json(conversion: Conversion) -> dict[str, object]:
    """The stored form of a conversion; decimals are canonical text."""
    return {"operation": conversion.operation, "factor": canonical(conversion.factor)}


def conversion_from_json(form: Mapping[str, object]) -> Conversion:
    """The conversion of a stored form. ValueError for one that is none."""
    return Conversion(ConversionOperation(form["operation"]), parse_decimal(str(form["factor"])))


def rounding_to_json(rounding: Rounding) -> dict[str, object]:
    """The stored form of a quantity's rounding."""
    return {"method": rounding.method, "places": rounding.places}


def rounding_from_json(form: Mapping[str, object]) -> Rounding:
    """The rounding of a stored form. ValueError for one that is none."""
    return Rounding(RoundingMethod(form["method"]), int(str(form["places"])))


def _increments(
    versions: Sequence[ProductVersion], by_metric: Mapping[UUID, Sequence[HourQuantity]], period: Period
) -> Iterator[HourQuantity]:
    """The differences of the rounded cumulative quantity, hour by hour.

    A change of metric or conversion at s continues as B(t) + A(s) - B(s), before rounding; what another rounding makes
    of the quantity so far falls into the hour of the change (golden decision 6).
    """
    position = rounded = ZERO
    starts = [max(version.starting_at, period.starting_at) for version in versions]
    for version, (start, end) in zip(versions, pairwise([*starts, period.ending_before]), strict=True):
        assert start is not None, "a version starts somewhere"
        hours = _summed(by_metric.get(version.metric_id, ()))
        measured = _sum_before(hours, start)
        continued = position - _converted(measured, version.conversion)
        moments = [hour for hour in hours if start <= hour and (end is None or hour < end)]
        for hour in dict.fromkeys([start, *moments]):
            with exact():
                measured += hours.get(hour, ZERO)
                position = continued + _converted(measured, version.conversion)
                target = _rounded(position, version.rounding)
                increment, rounded = target - rounded, target
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


def _converted(quantity: Decimal, conversion: Conversion | None) -> Decimal:
    if conversion is None:
        return quantity
    match conversion.operation:
        case ConversionOperation.MULTIPLY:
            with exact():
                return quantity * conversion.factor
        case ConversionOperation.DIVIDE:  # pragma: no branch - the type checker proves that no case is missing
            return divide(quantity, conversion.factor)


def _rounded(quantity: Decimal, rounding: Rounding | None) -> Decimal:
    if rounding is None:
        return quantity
    match rounding.method:
        case RoundingMethod.ROUND_UP:
            return round_up(quantity, places=rounding.places)
        case RoundingMethod.ROUND_DOWN:
            return round_down(quantity, places=rounding.places)
        case RoundingMethod.ROUND_HALF_UP:  # pragma: no branch - as above
            return round_half_up(quantity, places=rounding.places)
