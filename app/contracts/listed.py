"""What is on a contract's rate card, as the rules of its overrides ask for it.

Owns that reading; the rules are in `override_rules.py`.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.rates import money_products
from app.catalog.tables import ProductRow, RateRow
from app.catalog.terms import versions_of


class Listed(NamedTuple):
    """A product on the contract's card, whether its prices differ by pricing values, and whether it is measured in money.

    `pricing` and `presentation` are the group keys that it ever has.
    """

    product: ProductRow
    by_values: bool
    is_money: bool
    pricing: tuple[frozenset[str], ...]
    presentation: tuple[frozenset[str], ...]


async def listed_products(session: AsyncSession, rate_card_id: UUID | None) -> dict[UUID, Listed]:
    """The products with a rate on a card."""
    found = await session.execute(
        select(ProductRow, RateRow.group_values)
        .join(RateRow, col(RateRow.product_id) == ProductRow.id)
        .where(RateRow.rate_card_id == rate_card_id)
    )
    rates = [(product, group_values) for product, group_values in found]
    product_ids = {product.id for product, _ in rates}
    money = await money_products(session, product_ids)
    versions = await versions_of(session, product_ids)
    listed: dict[UUID, Listed] = {}
    for product, group_values in rates:
        before = listed.get(product.id)
        by_values = bool(group_values) or (before is not None and before.by_values)
        listed[product.id] = Listed(
            product,
            by_values,
            product.id in money,
            tuple(frozenset(version.pricing_group_key) for version in versions[product.id]),
            tuple(frozenset(version.presentation_group_key) for version in versions[product.id]),
        )
    return listed
