"""The quantities of a historical invoice: by product, group and hour, as the contract's prices take them.

Owns their checks. They are what is priced, after conversion and rounding, since nothing measures them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
from app.core.period import Period, is_hour
from app.core.quantities import UsageKey
from app.core.rates import PercentagePerEvent
from app.core.terms import Group, Override, Overwrite, Product, RateEntry, Terms
from app.errors import ErrorCode, InvalidInput
from app.store.ids import to_text

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GivenQuantity:
    """How much of a product was used by one group, at which hours; with hour None, at the statement's start."""

    product_id: UUID
    pricing: Group
    presentation: Group
    parts: Sequence[tuple[datetime | None, Decimal]]


def usage_of(
    quantities: Sequence[GivenQuantity], terms: Terms, period: Period, *, path: Path
) -> dict[UsageKey, list[HourQuantity]]:
    """The usage of a statement; parts of one product, group and hour add up.

    Errors: PRODUCT_NOT_ON_CARD, NOT_SUPPORTED for a price per event, INVALID for other group keys than the product has then, NOT_HOUR_ALIGNED, and INVALID for
    hours outside the statement.
    """
    products = {product.id: product for product in terms.products if product.metric_id is not None}
    sums: dict[UsageKey, dict[datetime, Decimal]] = {}
    for place, given in enumerate(quantities):
        here = (*path, "usage", str(place))
        product = products.get(given.product_id)
        if product is None:
            raise InvalidInput(
                ErrorCode.PRODUCT_NOT_ON_CARD,
                f"{to_text('product', given.product_id)} is no usage product on the contract's card.",
                path=(*here, "productId"),
            )
        if any(_is_per_event(rate, product, period) for rate in (*terms.rates, *terms.overrides)):
            raise InvalidInput(
                ErrorCode.NOT_SUPPORTED,
                f"{product.name} has a price per event, which a quantity does not tell; send its events.",
                path=(*here, "productId"),
            )
        hours = sums.setdefault(UsageKey(product.id, given.pricing, given.presentation), {})
        for at, quantity in given.parts:
            hour = period.starting_at if at is None else _hour(at, period, path=here)
            _check_keys(product.at(hour), given, path=here)
            with exact():
                hours[hour] = hours.get(hour, ZERO) + quantity
    return {
        key: [HourQuantity(hour, quantity) for hour, quantity in sorted(hours.items()) if quantity]
        for key, hours in sums.items()
    }


def _is_per_event(price: RateEntry | Override, product: Product, period: Period) -> bool:
    """Whether a rate or override may give the product a price per event in the period."""
    if isinstance(price, RateEntry):
        rate, ids = price.rate, {price.product_id}
    else:
        rate = price.change.rate if isinstance(price.change, Overwrite) else None
        ids = {one.product_id for one in price.specifiers}
    return isinstance(rate, PercentagePerEvent) and product.id in ids and price.period.intersect(period) is not None


def _hour(at: datetime, period: Period, *, path: Path) -> datetime:
    if not is_hour(at):
        raise InvalidInput(ErrorCode.NOT_HOUR_ALIGNED, "A part begins on a full hour (UTC).", path=path)
    if not period.contains(at):
        raise InvalidInput(ErrorCode.INVALID, f"{at:%Y-%m-%dT%H:%MZ} lies outside the statement.", path=path)
    return at


def _check_keys(product: Product, given: GivenQuantity, *, path: Path) -> None:
    for field, names, found in (
        ("pricing", product.pricing_group_key, given.pricing),
        ("presentation", product.presentation_group_key, given.presentation),
    ):
        if {name for name, _ in found} != set(names):
            wanted = ", ".join(sorted(names)) or "none"
            raise InvalidInput(
                ErrorCode.INVALID, f"{product.name} has these properties in {field}: {wanted}; name each of them once.",
                path=(*path, field),
            )  # fmt: skip
