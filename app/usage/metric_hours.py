"""The hours of metrics: from buckets, or folded from events.

Owns the choice between the two. Which product uses which metric is left to `reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import Filters, taken
from app.core.metering import HoursByGroup, cumulative, group_from_text, group_names
from app.core.period import Period
from app.core.quantities import MetricSplit
from app.usage.query_reading import hours_of_query
from app.usage.service import EVENTS


class MetricReading(NamedTuple):
    """One reading of a metric, and the properties by which its hours are split at least."""

    row: MetricRow
    by: tuple[str, ...] = ()

    @property
    def split(self) -> MetricSplit:
        """Its name among other readings."""
        return self.row.id, self.by


class Bounds(TypedDict):
    """A period as the event store takes it."""

    starting_at: datetime
    ending_before: datetime


async def hours_of_metrics(
    session: AsyncSession,
    readings: Iterable[MetricReading],
    references: Sequence[str],
    period: Period,
    *,
    filters: Filters = (),
) -> dict[MetricSplit, HoursByGroup]:
    """Hourly quantities by group for each reading, from buckets where a metric adds up; else folded from the events of the period.

    All buckets come in one statement. They are split by all properties that their metric offers, events by the properties
    of the reading. A metric that came to the card after a filter need not offer its property; then events are folded too.
    """
    found: dict[MetricSplit, HoursByGroup] = {}
    in_buckets: list[MetricSplit] = []
    for reading in readings:
        if _has_buckets(reading.row, filters):
            in_buckets.append(reading.split)
        else:
            found[reading.split] = await _folded(session, reading, references, period, filters)
    if in_buckets:
        ids = [metric_id for metric_id, _ in in_buckets]
        buckets = await EVENTS.hours(session, metric_ids=ids, references=references, **_bounds(period))
        for metric_id, by in in_buckets:
            groups = buckets.get(metric_id, {})
            found[metric_id, by] = taken(filters, {group_from_text(text): hours for text, hours in groups.items()})
    return found


def _has_buckets(row: MetricRow, filters: Filters) -> bool:
    """Whether the buckets answer. Those that are not ready lack the events that came before the metric."""
    metric = metric_of(row)
    if metric.query is not None or not metric.aggregation.is_additive or not row.buckets_ready:
        return False
    return set(group_names(metric)) >= {item.key for item in filters}


async def _folded(
    session: AsyncSession, reading: MetricReading, references: Sequence[str], period: Period, filters: Filters
) -> HoursByGroup:
    metric = metric_of(reading.row)
    if metric.query is not None:
        return await hours_of_query(session, metric.query, references, period, by=reading.by, filters=filters)
    split = set(group_names(metric)) if metric.aggregation.is_additive else reading.by
    by_hour = await EVENTS.hourly(
        session, metric, by=sorted(split), references=references, filters=filters, **_bounds(period)
    )
    folded = {group: cumulative(metric.aggregation, hours) for group, hours in by_hour.items()}
    return {group: hours for group, hours in folded.items() if hours}


def _bounds(period: Period) -> Bounds:
    assert period.ending_before is not None, "usage is read up to some instant"
    return {"starting_at": period.starting_at, "ending_before": period.ending_before}


class HoursReader(Protocol):
    """What gives the hours of metrics: `hours_of_metrics`, or a preview in its place."""

    async def __call__(
        self,
        session: AsyncSession,
        readings: Iterable[MetricReading],
        references: Sequence[str],
        period: Period,
        *,
        filters: Filters = (),
    ) -> Mapping[MetricSplit, HoursByGroup]:
        """As `hours_of_metrics`."""
        ...
