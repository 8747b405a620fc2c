"""Charges that are a percentage of other charges.

Owns what the base of a composite product is; pricing it is left to `rating`, which treats the base as a quantity. The
base is spend after overrides and before balances, by phase, so that it moves with prices hour by hour (semantics 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.elsewhere import Elsewhere
from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
from app.core.period import Period
from app.core.phases import sums_by_phase
from app.core.quantities import UsageKey
from app.core.terms import Composite, CompositeScope, Product, ProductType, Terms

Spend = Mapping[UUID, Sequence[Decimal]]
"""What was charged for each product, phase by phase."""


def includes(composite: Product, product: Product) -> bool:
    """True for USAGE products that the composite names, or that have one of its tags; others never count."""
    assert composite.composite is not None, "a composite product says what it is a percentage of"
    if product.type is not ProductType.USAGE:
        return False
    return product.id in composite.composite.product_ids or not set(composite.composite.tags).isdisjoint(product.tags)


def base_by_phase(
    composite: Product, products: Sequence[Product], spend: Spend, stretches: Sequence[Period]
) -> list[Decimal]:
    """The base of a composite product in each phase, of the products that belong to it then."""
    base = [ZERO] * len(stretches)
    with exact():
        for product in products:
            for place, amount in enumerate(spend.get(product.id, ())):
                start = stretches[place].starting_at
                if includes(composite.at(start), product.at(start)):
                    base[place] += amount
    return base


def with_elsewhere(
    found: Elsewhere | None, base: list[Decimal], stretches: Sequence[Period], *, unit: str
) -> list[Decimal]:
    """The base with what other contracts add to it in a unit; nothing is left of it where another contract bills it."""
    if found is None:
        return base
    hours = [HourQuantity(item.hour, item.amount) for item in found.spent if item.unit == unit]
    with exact():
        return [
            ZERO if found.is_billed(phase.starting_at) else own + other
            for phase, own, other in zip(stretches, base, sums_by_phase(hours, stretches), strict=True)
        ]


def units_elsewhere(terms: Terms) -> tuple[list[str], list[tuple[UsageKey, Decimal]]]:
    """The units of charges on other contracts in which this one can bill, and the sums of those in which it cannot.

    A contract bills in its own currency and in the custom units for which its card has a conversion. A sum stands under
    the composite product, with its unit as a value.
    """
    known = {terms.unit.code, *dict(terms.conversions)}
    units: set[str] = set()
    without: dict[UsageKey, Decimal] = {}
    for found in terms.elsewhere:
        for item in (item for item in found.spent if not found.is_billed(item.hour)):
            if item.unit in known:
                units.add(item.unit)
            else:
                key = UsageKey(found.product_id, (("unit", item.unit),))
                with exact():
                    without[key] = without.get(key, ZERO) + item.amount
    return sorted(units), sorted(without.items())


def composite_to_json(composite: Composite) -> dict[str, object]:
    """The stored form of what a composite product is a percentage of."""
    form: dict[str, object] = {
        "products": [str(product_id) for product_id in composite.product_ids],
        "tags": list(composite.tags),
        "exclude_free_usage": composite.exclude_free_usage,
    }
    # Named only where it says something, so that what was frozen before keeps its digest.
    return form if composite.scope is CompositeScope.CONTRACT else form | {"scope": composite.scope}


def composite_from_json(form: Mapping[str, Any]) -> Composite:
    """The value of a stored form. ValueError or KeyError for one that is none."""
    return Composite(
        product_ids=tuple(UUID(product_id) for product_id in form["products"]),
        tags=tuple(form["tags"]),
        exclude_free_usage=form.get("exclude_free_usage", False),
        scope=CompositeScope(form.get("scope", CompositeScope.CONTRACT)),
    )
