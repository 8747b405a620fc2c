"""Charges that are a percentage of other charges.

Owns what the base of a composite product is; pricing it is left to `rating`, which treats the base as a quantity. The
base is spend after overrides and before balances, by phase, so that it moves with prices hour by hour (semantics 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from app.core.money import ZERO, exact
from app.core.terms import Product, ProductType

Spend = Mapping[UUID, Sequence[Decimal]]
"""What was charged for each product, phase by phase."""


def includes(composite: Product, product: Product) -> bool:
    """True for USAGE products that the composite names, or that have one of its tags; others never count."""
    assert composite.composite is not None, "a composite product says what it is a percentage of"
    if product.type is not ProductType.USAGE:
        return False
    return product.id in composite.composite.product_ids or not set(composite.composite.tags).isdisjoint(product.tags)


def base_by_phase(composite: Product, products: Sequence[Product], spend: Spend, *, count: int) -> list[Decimal]:
    """The base of a composite product in each of `count` phases."""
    base = [ZERO] * count
    with exact():
        for product in products:
            if product.id in spend and includes(composite, product):
                base = [so_far + amount for so_far, amount in zip(base, spend[product.id], strict=True)]
    return base
