"""The hours of metrics: from buckets, or folded from events.

Owns the choice between the two. Which product uses which metric is left to `reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import Filters, taken
from app.core.metering import Carried, Event, HoursByGroup, cumulative, group_from_text, group_names, sighted
from app.core.period import Period
from app.core.quantities import MetricSplit
from app.core.terms import Aggregation, Group
from app.usage.events import BucketsAsked
from app.usage.outcomes import BeforeReader, OutcomeReading
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


class HoursAsked(NamedTuple):
    """Readings of metrics over one period, of the usage under some references that the filters let through.

    `before` finds the statements that go before it, for outcomes.
    """

    readings: Sequence[MetricReading]
    references: Sequence[str]
    period: Period
    filters: Filters = ()
    before: BeforeReader | None = None


async def hours_of_metrics(session: AsyncSession, asked: Sequence[HoursAsked]) -> list[dict[MetricSplit, HoursByGroup]]:
    """Hourly quantities by group for each reading asked for, from buckets where a metric adds up; else folded from events.

    All buckets come in one statement. They are split by all properties that their metric offers, events by the properties
    of the reading. A metric that came to the card after a filter need not offer its property; then events are folded too.
    """
    from_buckets = [[one.split for one in item.readings if _has_buckets(one.row, item.filters)] for item in asked]
    wanted = {
        place: BucketsAsked([metric_id for metric_id, _ in splits], asked[place].references, asked[place].period)
        for place, splits in enumerate(from_buckets)
        if splits
    }
    buckets = dict(zip(wanted, await EVENTS.hours(session, list(wanted.values())) if wanted else (), strict=True))
    found: list[dict[MetricSplit, HoursByGroup]] = []
    for place, item in enumerate(asked):
        hours: dict[MetricSplit, HoursByGroup] = {}
        for metric_id, by in from_buckets[place]:
            groups = buckets[place].get(metric_id, {})
            by_group = {group_from_text(text): quantities for text, quantities in groups.items()}
            hours[metric_id, by] = taken(item.filters, by_group)
        for reading in item.readings:
            if reading.split not in hours:
                hours[reading.split] = await _folded(session, reading, item)
        found.append(hours)
    return found


def _has_buckets(row: MetricRow, filters: Filters) -> bool:
    """Whether the buckets answer. Those that are not ready lack the events that came before the metric."""
    if row.query is not None or not Aggregation(row.aggregation).is_additive or not row.buckets_ready:
        return False
    return not filters or set(group_names(metric_of(row))) >= {item.key for item in filters}


async def _folded(session: AsyncSession, reading: MetricReading, asked: HoursAsked) -> HoursByGroup:
    metric, period = metric_of(reading.row), asked.period
    if metric.query is not None:
        return await hours_of_query(
            session, metric.query, asked.references, period, by=reading.by, filters=asked.filters
        )
    assert period.ending_before is not None, "usage is read up to some instant"
    if metric.outcome is not None:
        by_hour = await (await outcomes_of(session, reading, asked)).hours()
    else:
        split = set(group_names(metric)) if metric.aggregation.is_additive else reading.by
        by_hour = await EVENTS.hourly(
            session, metric, by=sorted(split), references=asked.references, starting_at=period.starting_at,
            ending_before=period.ending_before, filters=asked.filters,
        )  # fmt: skip
    folded = {group: cumulative(metric.aggregation, hours) for group, hours in by_hour.items()}
    return {group: hours for group, hours in folded.items() if hours}


async def outcomes_of(session: AsyncSession, reading: MetricReading, asked: HoursAsked) -> OutcomeReading:
    """The reading of an outcome metric in the event store."""
    return EVENTS.outcomes(
        session, metric_of(reading.row), by=reading.by, references=asked.references, period=asked.period,
        filters=asked.filters, before=None if asked.before is None else await asked.before(),
    )  # fmt: skip


async def carried_into(
    session: AsyncSession, reading: MetricReading, asked: HoursAsked, events: Iterable[Event]
) -> Mapping[Group, Carried]:
    """What stands for everything before a period: for what its events are about, and those given. Only outcomes look back."""
    metric = metric_of(reading.row)
    if metric.outcome is None:
        return {}
    return await (await outcomes_of(session, reading, asked)).carried(sighted(metric, events, by=reading.by))


class HoursReader(Protocol):
    """What gives the hours of metrics: `hours_of_metrics`, or a preview in its place."""

    async def __call__(
        self, session: AsyncSession, asked: Sequence[HoursAsked]
    ) -> Sequence[Mapping[MetricSplit, HoursByGroup]]:
        """As `hours_of_metrics`."""
        ...
