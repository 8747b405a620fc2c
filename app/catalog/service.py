"""The catalog: rate cards are created, and everything in it is archived.

Owns their rules; metrics are created in `metrics.py`, products in `products.py`, and prices are added in `rates.py`. What is archived is used by
nothing new, while everything that uses it already goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.aliases import NewAlias, insert_aliases
from app.catalog.rate_rules import NewRate
from app.catalog.rates import insert_rates
from app.catalog.reading import KINDS, T, changeable
from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.catalog.units import checked_conversions
from app.change import note_change
from app.checks import currency_of, name_of, text_of
from app.custom_fields.service import insert_custom_fields
from app.store.unique import once


async def create_rate_card(
    session: AsyncSession,
    *,
    name: str,
    currency: str,
    description: str | None = None,
    rates: Sequence[NewRate] = (),
    aliases: Sequence[NewAlias] = (),
    conversions: Mapping[str, Decimal] | None = None,
    custom_fields: Mapping[str, str] | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> RateCard:
    """A new list of prices in one currency, with its first rates and names if they are at hand.

    Errors: INVALID, `Conflict`, and those of `add_rates` and `give_alias`.
    """
    if description is not None:
        text_of(description, path=("input", "description"), longest=2_000)
    row = RateCard(
        created_at=now,
        name=name_of(name, path=("input", "name")),
        currency=currency_of(currency, path=("input", "currency")),
        description=description,
        conversions=await checked_conversions(session, conversions or {}, path=("input", "conversions")),
        uniqueness_key=uniqueness_key,
    )
    async with once(session, RateCard, uniqueness_key):
        session.add(row)
        await session.flush()
        added = await insert_rates(session, row, rates, path=("input", "rates"), now=now)
        places = [(("input", "aliases", str(index)), alias) for index, alias in enumerate(aliases)]
        await insert_aliases(session, row, places, now=now)
        fields = await insert_custom_fields(session, row, custom_fields)
    more = {"rates": len(added), "aliases": len(aliases)} | fields
    note_change(session, "rate_card", row.id, after=card_shown(row) | more)
    return row


async def archive_metric(session: AsyncSession, metric_id: UUID, *, now: datetime) -> MetricRow:
    """No new product may use the metric; existing ones keep metering with it."""
    return await _archive(session, MetricRow, metric_id, now=now)


async def archive_product(session: AsyncSession, product_id: UUID, *, now: datetime) -> ProductRow:
    """No new rate may name the product; existing rates keep working."""
    return await _archive(session, ProductRow, product_id, now=now)


async def archive_rate_card(session: AsyncSession, rate_card_id: UUID, *, now: datetime) -> RateCard:
    """No new contract may use the card; existing ones keep pricing with it."""
    return await _archive(session, RateCard, rate_card_id, now=now)


async def _archive(session: AsyncSession, row_class: type[T], identifier: UUID, *, now: datetime) -> T:
    row = await changeable(session, row_class, identifier)
    row.archived_at = now
    await session.flush()
    kind, _ = KINDS[row_class]
    note_change(session, kind, row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row


def card_shown(row: RateCard) -> dict[str, object]:
    """What the audit log keeps of a card."""
    return {"name": row.name, "currency": row.currency, "description": row.description, "conversions": row.conversions}
