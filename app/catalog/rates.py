"""Dated prices: added to a rate card, never changed or taken away.

Owns what may be added and in which order it counts. Which of several entries applies at an instant is found on reading,
in `core.pricing`, so that a past state of a card can always be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.catalog.per_event import UNPRICED, check_per_event, limit_prices, priced_products
from app.catalog.rate_rules import NewRate, check_rate
from app.catalog.reading import changeable
from app.catalog.tables import ProductRow, RateCard, RateRow
from app.catalog.units import check_lock, check_unit, units_in_use
from app.change import note_change
from app.checks import Path, at_most, interval_of
from app.core.period import SINCE_EVER, Period
from app.errors import ErrorCode, InvalidInput
from app.store.ids import to_text

MAX_RATES = 1_000


async def add_rates(
    session: AsyncSession, rate_card_id: UUID, entries: Sequence[NewRate], *, now: datetime
) -> list[RateRow]:
    """Add prices to a card, in the order given; where two apply, the one added later counts.

    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, INVALID_INTERVAL, INVALID, `LimitExceeded` above 1,000 a call.
    """
    card = await changeable(session, RateCard, rate_card_id)
    if not entries:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one rate.", path=("rates",))
    rows = await insert_rates(session, card, entries, path=("rates",), now=now)
    note_change(
        session, "rate_card", card.id,
        before={"rates": rows[0].added - 1},
        after={"rates": rows[-1].added, "added": [to_text("rate", row.id) for row in rows[:50]]},
    )  # fmt: skip
    return rows


async def insert_rates(
    session: AsyncSession, card: RateCard, entries: Sequence[NewRate], *, path: Path, now: datetime
) -> list[RateRow]:
    """Check and store prices of a card whose row this transaction holds. `path` is that of the list."""
    at_most(entries, MAX_RATES, path=path)
    await limit_prices(session, "rates", card.id, [(entry.product_id, entry.rate) for entry in entries], path=path)
    products = await _products(session, {entry.product_id for entry in entries})
    priced = await priced_products(session, products)
    in_use = await units_in_use(session, card, products)
    rows: list[RateRow] = []
    last = await session.execute(select(func.max(RateRow.added)).where(RateRow.rate_card_id == card.id))
    added = last.scalar_one() or 0
    for index, entry in enumerate(entries):
        place = (*path, str(index))
        product = products.get(entry.product_id)
        starting_at, ending_before = interval_of(entry.starting_at, entry.ending_before, path=place)
        fits = priced.get(entry.product_id, UNPRICED)
        keys = fits.keys_in(Period(starting_at or SINCE_EVER, ending_before))
        check_rate(entry, product, keys=keys, is_money=fits.is_money, path=place)
        if product is not None:
            check_per_event(entry.rate, product, fits, path=(*place, "price"))
        check_unit(card, entry.unit, path=(*place, "unit"))
        check_lock(in_use, entry.product_id, entry.unit, path=(*place, "unit"))
        in_use[entry.product_id] = entry.unit
        rows.append(
            RateRow(
                created_at=now,
                rate_card_id=card.id,
                product_id=entry.product_id,
                rate=entry.rate,
                starting_at=starting_at,
                ending_before=ending_before,
                entitled=entry.entitled,
                group_values=dict(entry.group_values),
                commit_rate=entry.commit_rate,
                unit=entry.unit,
                minimum=entry.minimum,
                billing_frequency=entry.billing_frequency,
                added=added + index + 1,
            )
        )
    session.add_all(rows)
    await session.flush()
    return rows


async def _products(session: AsyncSession, product_ids: set[UUID]) -> dict[UUID, ProductRow]:
    found = await session.execute(select(ProductRow).where(col(ProductRow.id).in_(product_ids)))
    return {row.id: row for row in found.scalars()}
