"""Charges that are a percentage of other charges.

Owns what the base of a composite product is; pricing it is left to `rating`, which treats the base as a quantity. The
base is spend after overrides and before balances, by phase, so that it moves with prices hour by hour (semantics 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.money import ZERO, exact
from app.core.period import Period
from app.core.terms import Composite, CompositeScope, Product, ProductType

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
