"""Charges that are a percentage of other charges.

Owns what the base of a composite product is; pricing it is left to `rating`, which treats the base as a quantity. The
base is spend after overrides and before balances, by phase, so that it moves with prices hour by hour (semantics 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from app.core.money import ZERO, exact
from app.core.period import Period
from app.core.terms import Product, ProductType

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
                if includes(composite, product.at(stretches[place].starting_at)):
                    base[place] += amount
    return base
