"""What is on a contract's rate card, as the rules of its overrides ask for it.

Owns that reading; the rules are in `override_rules.py`.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.per_event import Priced, priced_products
from app.catalog.tables import ProductRow, RateRow
from app.core.per_event import PercentagePerEvent


class Listed(NamedTuple):
    """A product on the contract's card, whether its prices differ by pricing values, and what its prices must fit.

    `pricing` and `presentation` are the group keys that it ever has. `per_event` tells that it has a price per event.
    """

    product: ProductRow
    by_values: bool
    priced: Priced
    pricing: tuple[frozenset[str], ...]
    presentation: tuple[frozenset[str], ...]
    per_event: bool


async def listed_products(session: AsyncSession, rate_card_id: UUID | None) -> dict[UUID, Listed]:
    """The products with a rate on a card."""
    found = await session.execute(
        select(ProductRow, RateRow.group_values, RateRow.rate)
        .join(RateRow, col(RateRow.product_id) == ProductRow.id)
        .where(RateRow.rate_card_id == rate_card_id)
    )
    rates = [(product, group_values, rate) for product, group_values, rate in found]
    priced = await priced_products(session, {product.id for product, _, _ in rates})
    listed: dict[UUID, Listed] = {}
    for product, group_values, rate in rates:
        before = listed.get(product.id)
        by_values = bool(group_values) or (before is not None and before.by_values)
        listed[product.id] = Listed(
            product,
            by_values,
            priced[product.id],
            tuple(frozenset(version.pricing_group_key) for version in priced[product.id].versions),
            tuple(frozenset(version.presentation_group_key) for version in priced[product.id].versions),
            isinstance(rate, PercentagePerEvent) or (before is not None and before.per_event),
        )
    return listed
