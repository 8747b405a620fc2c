"""Takes stored usage back: it counts nowhere any more, and stays readable with the reason.

Owns what leaves the buckets. Whether usage may be taken back is decided by a higher slice, which knows what was billed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.actor import Actor
from app.catalog.metrics import METRICS_LOCK, metric_of
from app.catalog.tables import MetricRow
from app.core.metering import canonical_group, group_of, measure
from app.core.period import floor_hour
from app.store.locks import share_named
from app.usage.events import FoundEvent
from app.usage.service import EVENTS
from app.usage.watched import note_usage


async def void_events(
    session: AsyncSession, ids: Sequence[UUID], *, actor: Actor, reason: str, now: datetime
) -> list[FoundEvent]:
    """Void the events with these digests of their ids; gives those that were there, by digest."""
    await share_named(session, METRICS_LOCK)
    # A metric whose buckets are being filled holds its row: its earlier events are either in them by now, or are not there
    # any more when they are read.
    found = await session.execute(
        select(MetricRow)
        .order_by(col(MetricRow.id))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    metrics = [row for row in found.scalars() if metric_of(row).aggregation.is_additive]
    gone = list(await EVENTS.void(session, ids, actor=actor.name, reason=reason, now=now))
    await EVENTS.add_deltas(session, _taken_back(gone, metrics), count=-1)
    if gone:
        await note_usage(session, {item.event.reference for item in gone})
    return gone


def _taken_back(
    gone: Iterable[FoundEvent], metrics: Sequence[MetricRow]
) -> Iterable[tuple[UUID, str, datetime, str, Decimal]]:
    for row in metrics:
        metric = metric_of(row)
        for item in gone:
            is_in = row.buckets_ready or item.batch > row.events_before_batch
            quantity = measure(metric, item.event) if is_in else None
            if quantity is not None:
                event = item.event
                group = canonical_group(group_of(metric, event))
                yield metric.id, event.reference, floor_hour(event.timestamp), group, -quantity
