"""What a metric's definition may say, and which group keys a product may take from it.

Owns the rules of semantics 1.3 and 2.4. They are checked once, when a metric or product is created, because neither
definition changes afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.catalog.tables import MetricRow
from app.checks import Path, at_most, distinct, text_of, within
from app.core.money import DIVISION_PLACES
from app.core.terms import Aggregation, PropertyFilter, Rounding
from app.errors import ErrorCode, InvalidInput

MAX_FILTERS = 20
MAX_VALUES = 200
MAX_GROUP_KEYS = 20
MAX_GROUP_NAMES = 10
MAX_TEXT = 200


def checked_aggregation(aggregation: str, key: str | None) -> Aggregation:
    """The aggregation, when the key fits it: COUNT counts events and has none, the others read one property."""
    try:
        found = Aggregation(aggregation)
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"Aggregation {aggregation[:40]!r} is not supported; supported: {', '.join(Aggregation)}.",
            path=("input", "aggregation"),
        ) from error
    path = ("input", "aggregationKey")
    if found is Aggregation.COUNT:
        if key is not None:
            raise InvalidInput(ErrorCode.INVALID, "COUNT counts events and takes no aggregationKey.", path=path)
    elif key is None:
        raise InvalidInput(
            ErrorCode.REQUIRED, f"{found} needs the property that it reads as aggregationKey.", path=path
        )
    else:
        text_of(key, path=path, longest=MAX_TEXT)
    return found


def checked_values(values: Sequence[str] | None, *, path: Path) -> list[str] | None:
    """A list of texts that is not empty when it is given."""
    if values is None:
        return None
    if not values:
        raise InvalidInput(
            ErrorCode.INVALID, f"{path[-1]} is empty and would match nothing; leave it out instead.", path=path
        )
    at_most(values, MAX_VALUES, path=path)
    return list(distinct([text_of(value, path=path, longest=MAX_TEXT) for value in values], path=path))


def check_filters(filters: Sequence[PropertyFilter]) -> None:
    """Every condition names a property, asks for something, and does not contradict itself."""
    at_most(filters, MAX_FILTERS, path=("input", "filters"))
    for index, condition in enumerate(filters):
        path = ("input", "filters", str(index))
        text_of(condition.name, path=(*path, "property"), longest=MAX_TEXT)
        checked_values(condition.in_values or None, path=(*path, "in"))
        checked_values(condition.not_in_values or None, path=(*path, "notIn"))
        if condition.exists is False and condition.in_values:
            raise InvalidInput(
                ErrorCode.INVALID,
                f"{condition.name[:60]!r} cannot be absent and have one of some values at once.",
                path=path,
            )


def check_keys(group_keys: Sequence[Sequence[str]]) -> None:
    """Compound keys: each names one or more properties, none of them twice."""
    path = ("input", "groupKeys")
    at_most(group_keys, MAX_GROUP_KEYS, path=path)
    for index, names in enumerate(group_keys):
        place = (*path, str(index))
        if not names:
            raise InvalidInput(ErrorCode.INVALID, "A group key names at least one property.", path=place)
        at_most(names, MAX_GROUP_NAMES, path=place)
        distinct([text_of(name, path=place, longest=MAX_TEXT) for name in names], path=place)


def check_rounding(rounding: Rounding | None, *, path: Path) -> None:
    """A quantity is rounded to at most as many places as a division keeps."""
    if rounding is not None:
        within(rounding.places, low=0, high=DIVISION_PLACES, path=(*path, "decimalPlaces"))


def check_product_keys(metric: MetricRow, *, pricing: Sequence[str], presentation: Sequence[str]) -> None:
    """Both keys of a product lie within one compound group key of its metric (semantics 1.3)."""
    distinct(pricing, path=("input", "pricingGroupKey"))
    distinct(presentation, path=("input", "presentationGroupKey"))
    wanted = {*pricing, *presentation}
    if not wanted or any(wanted <= set(names) for names in metric.group_keys):
        return
    offered = "; ".join(", ".join(names) for names in metric.group_keys) or "none"
    raise InvalidInput(
        ErrorCode.INVALID,
        f"No single group key of metric {metric.name[:80]!r} holds {', '.join(sorted(wanted))[:200]}; "
        f"its group keys are: {offered[:300]}.",
        path=("input", "pricingGroupKey" if pricing else "presentationGroupKey"),
    )
