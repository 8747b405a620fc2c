"""The order of a card's products, which is the order of lines on invoices.

Owns its changes. An order need not name every product: those that it leaves out follow by name (semantics 3.1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.reading import changeable
from app.catalog.tables import ProductRow, RateCard, RateRow
from app.change import note_change
from app.checks import Path, at_most, distinct, within
from app.errors import ErrorCode, InvalidInput
from app.store.ids import to_text

MAX_PRODUCTS = 1_000


async def set_product_order(session: AsyncSession, rate_card_id: UUID, product_ids: Sequence[UUID]) -> RateCard:
    """Replace the whole order. Errors: `NotFound`, ARCHIVED, PRODUCT_NOT_ON_CARD, INVALID, `LimitExceeded`."""
    path = ("productIds",)
    at_most(product_ids, MAX_PRODUCTS, path=path)
    distinct([to_text("product", product_id) for product_id in product_ids], path=path)
    card = await changeable(session, RateCard, rate_card_id)
    on_card = {product.id for product in (await products_by_card(session, [card]))[card.id]}
    for index, product_id in enumerate(product_ids):
        _require(product_id, on_card, path=(*path, str(index)))
    return await _store(session, card, product_ids)


async def move_products(session: AsyncSession, rate_card_id: UUID, moves: Sequence[tuple[UUID, int]]) -> RateCard:
    """Put products at positions of the order, counted from 0; all others keep their order among themselves.

    Errors: as `set_product_order`, and INVALID for a position that does not exist or is named twice.
    """
    path = ("moves",)
    at_most(moves, MAX_PRODUCTS, path=path)
    if not moves:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one product.", path=path)
    distinct([to_text("product", product_id) for product_id, _ in moves], path=path)
    distinct([str(position) for _, position in moves], path=path)
    card = await changeable(session, RateCard, rate_card_id)
    order = [product.id for product in (await products_by_card(session, [card]))[card.id]]
    for index, (product_id, position) in enumerate(moves):
        _require(product_id, order, path=(*path, str(index), "productId"))
        within(position, low=0, high=len(order) - 1, path=(*path, str(index), "position"))
    return await _store(session, card, moved(order, moves))


def moved(order: Sequence[UUID], moves: Sequence[tuple[UUID, int]]) -> list[UUID]:
    """The order with each named product at its position; products and positions are named once and exist."""
    named = {product_id for product_id, _ in moves}
    found = [product_id for product_id in order if product_id not in named]
    # From the front, so that a later insertion never shifts an earlier one.
    for product_id, position in sorted(moves, key=lambda move: move[1]):
        found.insert(position, product_id)
    return found


async def products_by_card(session: AsyncSession, cards: Sequence[RateCard]) -> Mapping[UUID, list[ProductRow]]:
    """The products that have a price on each card, in its order."""
    rows = await session.execute(
        select(RateRow.rate_card_id, ProductRow)
        .join(ProductRow, col(ProductRow.id) == RateRow.product_id)
        .where(col(RateRow.rate_card_id).in_([card.id for card in cards]))
        .group_by(col(RateRow.rate_card_id), col(ProductRow.id))
    )
    found: dict[UUID, list[ProductRow]] = {card.id: [] for card in cards}
    for card_id, product in rows:
        found[card_id].append(product)
    return {card.id: _ordered(card, found[card.id]) for card in cards}


def _ordered(card: RateCard, products: Sequence[ProductRow]) -> list[ProductRow]:
    places = {product_id: place for place, product_id in enumerate(card.product_order)}
    return sorted(products, key=lambda item: (places.get(str(item.id), len(places)), item.name, item.id))


async def _store(session: AsyncSession, card: RateCard, order: Sequence[UUID]) -> RateCard:
    before = card.product_order
    card.product_order = [str(product_id) for product_id in order]
    await session.flush()
    note_change(
        session, "rate_card", card.id,
        before={"productOrder": _shown(before)}, after={"productOrder": _shown(card.product_order)},
    )  # fmt: skip
    return card


def _require(product_id: UUID, on_card: Collection[UUID], *, path: Path) -> None:
    if product_id not in on_card:
        raise InvalidInput(
            ErrorCode.PRODUCT_NOT_ON_CARD,
            f"Product {to_text('product', product_id)} has no rate on this card.",
            path=path,
        )


def _shown(order: Sequence[str]) -> list[str]:
    return [to_text("product", UUID(product_id)) for product_id in order]
