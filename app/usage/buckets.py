"""Keeps the hourly buckets: folds what ingest appended, and fills those of a metric that came after its events.

Owns the two jobs. Both change nothing that a reader sees: folded and unfolded parts are always read together.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.metering import Event, canonical_group, group_of, measure
from app.core.period import floor_hour
from app.core.terms import Metric
from app.store.engine import Store
from app.usage.service import EVENTS

FOLD_LIMIT = 20_000


async def fold_all(store: Store) -> int:
    """Fold until nothing is left, a bounded number of rows for each transaction; returns how many were folded."""
    folded = 0
    while True:
        async with store.transaction() as session:
            moved = await EVENTS.fold(session, limit=FOLD_LIMIT)
        folded += moved
        if moved < FOLD_LIMIT:
            return folded


async def backfill(session: AsyncSession, metric_id: UUID) -> int:
    """Add the events that came before a metric to its buckets; returns how many counted. Safe to repeat."""
    row = await session.get(MetricRow, metric_id, with_for_update=True)
    if row is None or row.buckets_ready:
        return 0
    metric, counted = metric_of(row), 0
    async for page in EVENTS.earlier(session, up_to_batch=row.events_before_batch):
        counted += await EVENTS.add_deltas(session, _deltas(metric, page))
    row.buckets_ready = True
    return counted


def _deltas(metric: Metric, events: Iterable[Event]) -> Iterable[tuple[UUID, str, datetime, str, Decimal]]:
    for event in events:
        quantity = measure(metric, event)
        if quantity is not None:
            group = canonical_group(group_of(metric, event))
            yield metric.id, event.reference, floor_hour(event.timestamp), group, quantity
