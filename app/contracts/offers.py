"""What contracts have of their rate cards: prices, conversions, and the products of both these and their own charges.

Owns that it is the same value for all contracts that have the same, so that what follows from it is worked out once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog import tables, units
from app.catalog.terms import entries_of, products_of
from app.contracts.fees import Fees
from app.contracts.tables import Contract
from app.core.terms import Product, RateEntry


class Offer(NamedTuple):
    """What a contract sells and at which list prices; conversions and the order of lines are those of its card."""

    rates: tuple[RateEntry, ...]
    products: tuple[Product, ...]
    conversions: tuple[tuple[str, Decimal], ...] = ()
    product_order: tuple[UUID, ...] = ()


async def offers_of(
    session: AsyncSession, contracts: Sequence[Contract], fees: Mapping[UUID, Fees]
) -> dict[UUID, Offer]:
    """The offer of each contract, in as many statements as for one."""
    card_ids = {contract.rate_card_id for contract in contracts if contract.rate_card_id is not None}
    cards = {
        row.id: row
        for row in await session.scalars(select(tables.RateCard).where(col(tables.RateCard.id).in_(card_ids)))
    }
    rates = await entries_of(session, card_ids)
    charged = {one.id: frozenset(item.product_id for item in fees[one.id].charges) for one in contracts}
    named = {entry.product_id for entries in rates.values() for entry in entries}
    named.update(product_id for own in charged.values() for product_id in own if product_id is not None)
    products = await products_of(session, named)
    made: dict[tuple[UUID | None, frozenset[UUID | None]], Offer] = {}
    found: dict[UUID, Offer] = {}
    for contract in contracts:
        card_id, own = contract.rate_card_id, charged[contract.id]
        if (card_id, own) not in made:
            entries = () if card_id is None else rates[card_id]
            made[card_id, own] = _offer(None if card_id is None else cards[card_id], entries, products, own)
        found[contract.id] = made[card_id, own]
    return found


def _offer(
    card: tables.RateCard | None,
    rates: tuple[RateEntry, ...],
    products: Sequence[Product],
    charged: Collection[UUID | None],
) -> Offer:
    product_ids = {*charged, *(rate.product_id for rate in rates)}
    sold = tuple(product for product in products if product.id in product_ids)
    if card is None:
        return Offer(rates, sold)
    order = tuple(UUID(product_id) for product_id in card.product_order)
    return Offer(rates, sold, units.conversions_of(card), order)
