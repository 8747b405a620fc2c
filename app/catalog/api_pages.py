"""What belongs to rate cards, read for many of them in one statement.

Owns the loaders behind `RateCard`. Cards are often listed together with their prices, and a card can have
thousands, so neither a statement for each card nor reading all its prices will do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from app.catalog.product_order import products_by_card
from app.catalog.tables import ProductRow, RateCardAlias, RateRow
from app.catalog.terms import entries_of
from app.core.terms import RateEntry
from app.graphql.context import Context
from app.graphql.nodes import LOADERS, rows_by

RATES = RateRow.__table__.c  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class RateSelection:
    """Which rates of a card: of one product, or those that no later one replaces at an instant; None means any."""

    product_id: UUID | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RatePage:
    """`first` rates of a card after the one that was added as number `after`; one more tells whether others follow."""

    card_id: UUID
    selection: RateSelection
    first: int
    after: int


async def _pages(context: Context, keys: Sequence[RatePage]) -> Sequence[list[RateRow]]:
    found: dict[RatePage, list[RateRow]] = {key: [] for key in keys}
    alike: defaultdict[tuple[RateSelection, int, int], set[UUID]] = defaultdict(set)
    for key in keys:
        alike[key.selection, key.first, key.after].add(key.card_id)
    for (selection, first, after), cards in alike.items():
        place = func.row_number().over(partition_by=RATES.rate_card_id, order_by=RATES.added).label("place")
        numbered = (
            select(RATES.id, place).where(RATES.added > after, *_conditions(selection, cards)).subquery("numbered")
        )
        statement = (
            select(RateRow)
            .join(numbered, numbered.c.id == RATES.id)
            .where(numbered.c.place <= first + 1)
            .order_by(RATES.rate_card_id, RATES.added)
        )
        for row in (await context.session.execute(statement)).scalars():
            found[RatePage(row.rate_card_id, selection, first, after)].append(row)
    return [found[key] for key in keys]


async def _counts(context: Context, keys: Sequence[tuple[UUID, RateSelection]]) -> Sequence[int]:
    found: dict[tuple[UUID, RateSelection], int] = {}
    for selection in dict.fromkeys(selection for _, selection in keys):
        cards = {card_id for card_id, wanted in keys if wanted == selection}
        statement = select(RATES.rate_card_id, func.count()).where(*_conditions(selection, cards))
        for card_id, count in await context.session.execute(statement.group_by(RATES.rate_card_id)):
            found[card_id, selection] = count
    return [found.get(key, 0) for key in keys]


def _conditions(selection: RateSelection, cards: set[UUID]) -> list[ColumnElement[Any]]:
    conditions: list[ColumnElement[Any]] = [RATES.rate_card_id.in_(cards)]
    if selection.product_id is not None:
        conditions.append(RATES.product_id == selection.product_id)
    if selection.at is not None:
        conditions.append(RATES.id.in_(_in_force(cards, selection.at)))
    return conditions


def _in_force(cards: set[UUID], at: datetime) -> Select[Any]:
    """Of each timeline the last added price whose interval holds the instant, as `core.pricing` finds it."""
    other = RateRow.__table__.alias("other").c  # type: ignore[attr-defined]
    timeline = (other.rate_card_id, other.product_id, other.group_values, other.billing_frequency)
    return (
        select(other.id)
        .ext(distinct_on(*timeline))
        .where(
            other.rate_card_id.in_(cards),
            or_(other.starting_at.is_(None), other.starting_at <= at),
            or_(other.ending_before.is_(None), other.ending_before > at),
        )
        .order_by(*timeline, other.added.desc())
    )


async def _products(context: Context, keys: Sequence[UUID]) -> Sequence[list[ProductRow]]:
    cards = await context.load_many("rate_card", keys)
    found = await products_by_card(context.session, cards)
    return [found[key] for key in keys]


async def _entries(context: Context, keys: Sequence[UUID]) -> Sequence[tuple[RateEntry, ...]]:
    found = await entries_of(context.session, keys)
    return [found[key] for key in keys]


LOADERS["rate_card.aliases"] = rows_by(RateCardAlias, "rate_card_id")
LOADERS["rate_card.entries"] = _entries
LOADERS["rate_card.products"] = _products
LOADERS["rate_card.rates"] = _pages
LOADERS["rate_card.rate_count"] = _counts
