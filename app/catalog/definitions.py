"""What the definition of a metric may say, and that of a product: its group keys, its rounding, its parts.

Owns the rules of semantics 1.3 and 2.4. They are checked when a metric or product is created, and again for every version of a
product.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import MetricRow, ProductRow
from app.checks import Path, at_most, currency_of, distinct, text_of, within
from app.core.conversions import Rounding
from app.core.money import DIVISION_PLACES
from app.core.terms import Aggregation, Composite, MoneyOf, ProductType, PropertyFilter, SqlGranularity
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store.ids import to_text

MAX_FILTERS = 20
MAX_VALUES = 200
MAX_GROUP_KEYS = 20
MAX_GROUP_NAMES = 10
MAX_TEXT = 200
MAX_PARTS = 100


def checked_aggregation(aggregation: str | None, key: str | None, *, is_query: bool) -> Aggregation:
    """The aggregation, when the key fits it: most read one property; COUNT and those of outcomes have none."""
    if is_query:
        return Aggregation.SQL
    if aggregation is None or aggregation == Aggregation.SQL:
        raise InvalidInput(
            ErrorCode.REQUIRED, "Name an aggregation, or write the query as sql.", path=("input", "aggregation")
        )
    try:
        found = Aggregation(aggregation)
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"Aggregation {aggregation[:40]!r} is not supported; supported: {', '.join(Aggregation)}.",
            path=("input", "aggregation"),
        ) from error
    path = ("input", "aggregationKey")
    if not found.has_key:
        if key is not None:
            what = "outcomes" if found.is_outcome else "events"
            raise InvalidInput(ErrorCode.INVALID, f"{found} counts {what} and takes no aggregationKey.", path=path)
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


def check_money(money: MoneyOf | None, *, aggregation: str | None, group_keys: Sequence[Sequence[str]]) -> None:
    """Amounts of one currency, or of one that usage is split by: amounts of two are never added (semantics 11.2)."""
    path = ("input", "money")
    if money is None:
        return
    if aggregation in (Aggregation.COUNT, Aggregation.UNIQUE, Aggregation.SESSION_COUNT, Aggregation.COUNT_LATEST):
        raise InvalidInput(ErrorCode.INVALID, f"{aggregation} counts and measures no money.", path=path)
    if money.currency is not None:
        currency_of(money.currency, path=(*path, "currency"))
    if money.currency_property is not None and not any(money.currency_property in names for names in group_keys):
        raise InvalidInput(
            ErrorCode.INVALID,
            f"Usage must be split by {money.currency_property[:60]!r}; name it in a group key.",
            path=(*path, "currencyProperty"),
        )


def check_rounding(rounding: Rounding | None, *, path: Path) -> None:
    """A quantity is rounded to at most as many places as a division keeps."""
    if rounding is not None:
        within(rounding.places, low=0, high=DIVISION_PLACES, path=(*path, "decimalPlaces"))


def check_granularity(metric: MetricRow | None, granularity: SqlGranularity) -> None:
    """Only the quantity of an SQL metric is spread in another way than hour by hour."""
    if granularity is not SqlGranularity.HOUR and (metric is None or metric.query is None):
        raise InvalidInput(
            ErrorCode.INVALID, f"{granularity} is for SQL metrics only.", path=("input", "sqlBreakdownGranularity")
        )


def check_product_keys(metric: MetricRow, *, pricing: Sequence[str], presentation: Sequence[str]) -> None:
    """Both keys of a product lie within one compound group key of its metric (semantics 1.3), at most ten names each."""
    at_most(pricing, MAX_GROUP_NAMES, path=("input", "pricingGroupKey"))
    at_most(presentation, MAX_GROUP_NAMES, path=("input", "presentationGroupKey"))
    distinct(pricing, path=("input", "pricingGroupKey"))
    distinct(presentation, path=("input", "presentationGroupKey"))
    money = metric.money_currency_property
    if money is not None and money not in pricing:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The metric's currency stands in {money[:60]!r}; the pricing group key must name it.",
            path=("input", "pricingGroupKey"),
        )
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


def check_type(type: str, *, is_composite: bool) -> None:
    """A type that there is; what it is a percentage of belongs to COMPOSITE and only to it."""
    if type not in list(ProductType):
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"Products are of type {', '.join(ProductType)}, not {type[:40]!r}.",
            path=("input", "type"),
        )
    if type == ProductType.COMPOSITE and not is_composite:
        raise InvalidInput(ErrorCode.REQUIRED, "Say what it is a percentage of.", path=("input", "composite"))
    if type != ProductType.COMPOSITE and is_composite:
        raise InvalidInput(ErrorCode.INVALID, "Only a COMPOSITE product is one.", path=("input", "composite"))


async def check_composite(session: AsyncSession, composite: Composite) -> None:
    """Every product that it names exists and is of type USAGE; nothing is named twice."""
    place = ("input", "composite")
    at_most(composite.product_ids, MAX_PARTS, path=(*place, "productIds"))
    at_most(composite.tags, MAX_PARTS, path=(*place, "tags"))
    distinct([text_of(tag, path=(*place, "tags"), longest=100) for tag in composite.tags], path=(*place, "tags"))
    distinct([to_text("product", item) for item in composite.product_ids], path=(*place, "productIds"))
    found = await session.execute(select(ProductRow).where(col(ProductRow.id).in_(composite.product_ids)))
    products = {row.id: row for row in found.scalars()}
    for index, product_id in enumerate(composite.product_ids):
        path = (*place, "productIds", str(index))
        if product_id not in products:
            raise NotFound("Product", to_text("product", product_id), path=path)
        if products[product_id].type != ProductType.USAGE:
            raise InvalidInput(
                ErrorCode.INVALID, "A composite product is a percentage of USAGE products only.", path=path
            )
