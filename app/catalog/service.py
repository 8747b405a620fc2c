"""The catalog: metrics, products and rate cards, created and archived.

Owns their rules; prices are in `rates.py`, what a metric's definition may say in `definitions.py`. A metric sees every
event that is kept: those that came before it are put in its buckets by a job, and are read directly until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.catalog.definitions import check_filters, check_keys, check_product_keys, checked_aggregation, checked_values
from app.catalog.metrics import METRICS_LOCK
from app.catalog.rates import NewRate, insert_rates
from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.change import note_change
from app.checks import Path, at_most, currency_of, distinct, name_of, text_of
from app.core.terms import PropertyFilter
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.jobs.service import enqueue
from app.store.ids import to_text
from app.store.locks import lock_named
from app.store.unique import once
from app.usage.tables import IngestBatch

BACKFILL_JOB = "usage.backfill"
MAX_TAGS = 50
T = TypeVar("T", MetricRow, ProductRow, RateCard)
KINDS: dict[type[Any], tuple[str, str]] = {
    MetricRow: ("metric", "Billable metric"),
    ProductRow: ("product", "Product"),
    RateCard: ("rate_card", "Rate card"),
}
"""Row -> its kind of id, and what it is called."""


async def create_metric(
    session: AsyncSession,
    *,
    name: str,
    aggregation: str,
    key: str | None = None,
    event_types_in: Sequence[str] | None = None,
    event_types_not_in: Sequence[str] | None = None,
    filters: Sequence[PropertyFilter] = (),
    group_keys: Sequence[Sequence[str]] = (),
    uniqueness_key: str | None = None,
    now: datetime,
) -> MetricRow:
    """A new metric over all events that are kept, earlier ones included. Its definition never changes.

    Errors: INVALID, REQUIRED, NOT_SUPPORTED, `LimitExceeded`, `Conflict`.
    """
    check_filters(filters)
    check_keys(group_keys)
    row = MetricRow(
        created_at=now,
        name=name_of(name, path=("input", "name")),
        aggregation=checked_aggregation(aggregation, key),
        key=key,
        event_types_in=checked_values(event_types_in, path=("input", "eventTypes")),
        event_types_not_in=checked_values(event_types_not_in, path=("input", "eventTypesNotIn")),
        filters=[_filter_to_json(condition) for condition in filters],
        group_keys=[list(names) for names in group_keys],
        uniqueness_key=uniqueness_key,
    )
    async with once(session, MetricRow, uniqueness_key):
        # No ingest runs beside this: whoever comes later measures with the new metric, and whoever came earlier has a
        # batch number up to the highest one in sight.
        await lock_named(session, METRICS_LOCK)
        newest = select(func.max(IngestBatch.number)).where(IngestBatch.accepted > 0)
        row.events_before_batch = (await session.execute(newest)).scalar_one() or 0
        row.buckets_ready = row.events_before_batch == 0
        session.add(row)
        await session.flush()
        if not row.buckets_ready:
            await enqueue(session, BACKFILL_JOB, {"metric": str(row.id)})
    note_change(session, "metric", row.id, after=_metric_shown(row))
    return row


async def create_product(
    session: AsyncSession,
    *,
    name: str,
    type: str = "USAGE",
    metric_id: UUID | None,
    pricing_group_key: Sequence[str] = (),
    presentation_group_key: Sequence[str] = (),
    tags: Sequence[str] = (),
    uniqueness_key: str | None = None,
    now: datetime,
) -> ProductRow:
    """A new product. Only USAGE products exist so far; each is measured by one metric.

    Errors: NOT_SUPPORTED, REQUIRED, `NotFound`, ARCHIVED, INVALID for group keys that the metric does not offer.
    """
    name = name_of(name, path=("input", "name"))
    if type != "USAGE":
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED, f"Products are of type USAGE so far, not {type[:40]!r}.", path=("input", "type")
        )
    if metric_id is None:
        raise InvalidInput(ErrorCode.REQUIRED, "A USAGE product needs a metric.", path=("input", "metricId"))
    at_most(tags, MAX_TAGS, path=("input", "tags"))
    metric = await get(session, MetricRow, metric_id, path=("input", "metricId"))
    refuse_archived(metric, path=("input", "metricId"))
    check_product_keys(metric, pricing=pricing_group_key, presentation=presentation_group_key)
    row = ProductRow(
        created_at=now,
        name=name,
        type=type,
        metric_id=metric_id,
        pricing_group_key=list(pricing_group_key),
        presentation_group_key=list(presentation_group_key),
        tags=list(
            distinct([text_of(tag, path=("input", "tags"), longest=100) for tag in tags], path=("input", "tags"))
        ),
        uniqueness_key=uniqueness_key,
    )
    async with once(session, ProductRow, uniqueness_key):
        session.add(row)
        await session.flush()
    note_change(session, "product", row.id, after=_product_shown(row))
    return row


async def create_rate_card(
    session: AsyncSession,
    *,
    name: str,
    currency: str,
    description: str | None = None,
    rates: Sequence[NewRate] = (),
    uniqueness_key: str | None = None,
    now: datetime,
) -> RateCard:
    """A new list of prices in one currency, with its first rates if they are at hand.

    Errors: INVALID, `Conflict`, and those of `add_rates`.
    """
    if description is not None:
        text_of(description, path=("input", "description"), longest=2_000)
    row = RateCard(
        created_at=now,
        name=name_of(name, path=("input", "name")),
        currency=currency_of(currency, path=("input", "currency")),
        description=description,
        uniqueness_key=uniqueness_key,
    )
    async with once(session, RateCard, uniqueness_key):
        session.add(row)
        await session.flush()
        added = await insert_rates(session, row, rates, path=("input", "rates"), now=now)
    note_change(session, "rate_card", row.id, after=_card_shown(row) | {"rates": len(added)})
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


async def get(session: AsyncSession, row_class: type[T], identifier: UUID, *, path: Path = ("id",)) -> T:
    """A metric, product or rate card; `NotFound` when there is none."""
    row = await session.get(row_class, identifier)
    if row is None:
        kind, called = KINDS[row_class]
        raise NotFound(called, to_text(kind, identifier), path=path)
    return row


def refuse_archived(row: MetricRow | ProductRow | RateCard, *, path: Path) -> None:
    """Raise ARCHIVED for what is used by nothing new."""
    if row.archived_at is not None:
        kind, called = KINDS[type(row)]
        raise InvalidState(
            ErrorCode.ARCHIVED, f"{called} {to_text(kind, row.id)} is archived.", path=path, conflicting=row
        )


async def _archive(session: AsyncSession, row_class: type[T], identifier: UUID, *, now: datetime) -> T:
    row = await session.get(row_class, identifier, with_for_update=True, populate_existing=True)
    kind, called = KINDS[row_class]
    if row is None:
        raise NotFound(called, to_text(kind, identifier), path=("id",))
    refuse_archived(row, path=("id",))
    row.archived_at = now
    await session.flush()
    note_change(session, kind, row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row


def _filter_to_json(condition: PropertyFilter) -> dict[str, Any]:
    return {
        "name": condition.name,
        "exists": condition.exists,
        "in_values": list(condition.in_values),
        "not_in_values": list(condition.not_in_values),
    }


def _metric_shown(row: MetricRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "aggregation": row.aggregation,
        "aggregationKey": row.key,
        "eventTypes": row.event_types_in,
        "eventTypesNotIn": row.event_types_not_in,
        "filters": row.filters,
        "groupKeys": row.group_keys,
    }


def _product_shown(row: ProductRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.type,
        "metric": None if row.metric_id is None else to_text("metric", row.metric_id),
        "pricingGroupKey": row.pricing_group_key,
        "presentationGroupKey": row.presentation_group_key,
        "tags": row.tags,
    }


def _card_shown(row: RateCard) -> dict[str, Any]:
    return {"name": row.name, "currency": row.currency, "description": row.description}
