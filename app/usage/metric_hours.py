"""The hours of metrics: from buckets, or folded from events.

Owns the choice between the two. Which product uses which metric is left to `reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import Filters, taken
from app.core.metering import Carried, Event, HoursByGroup, cumulative, group_from_text, group_names, sighted
from app.core.period import Period
from app.core.quantities import Measure, Split
from app.core.terms import Aggregation, Group
from app.usage.events import BucketsAsked
from app.usage.outcomes import BeforeReader, OutcomeReading
from app.usage.query_reading import hours_of_query
from app.usage.service import EVENTS


class MetricReading:
    """One reading of a metric, and the properties by which its hours are split at least.

    With a `measure` it is what a price per event asks for, split by no more than those properties. `split` is its name
    among other readings. It is asked for each contract, so what is read of the row is read once.
    """

    __slots__ = ("_is_in_buckets", "_offered", "by", "measure", "row", "split")

    def __init__(self, row: MetricRow, by: tuple[str, ...] = (), measure: Measure | None = None) -> None:
        """`row` is not changed as long as this is used."""
        self.row, self.by, self.measure = row, by, measure
        self.split: Split = (row.id, by) if measure is None else (row.id, by, measure)
        is_sum = measure is None and row.query is None and Aggregation(row.aggregation).is_additive
        # Buckets that are not ready lack the events that came before the metric.
        self._is_in_buckets = is_sum and row.buckets_ready
        self._offered = frozenset(group_names(metric_of(row))) if self._is_in_buckets else frozenset[str]()

    def has_buckets(self, filters: Filters) -> bool:
        """Whether the buckets answer, of usage that the filters let through."""
        return self._is_in_buckets and (not filters or self._offered >= {item.key for item in filters})


class HoursAsked(NamedTuple):
    """Readings of metrics over one period, of the usage under some references that the filters let through.

    `before` finds the statements that go before it, for outcomes.
    """

    readings: Sequence[MetricReading]
    references: Sequence[str]
    period: Period
    filters: Filters = ()
    before: BeforeReader | None = None


async def hours_of_metrics(session: AsyncSession, asked: Sequence[HoursAsked]) -> list[dict[Split, HoursByGroup]]:
    """Hourly quantities by group for each reading asked for, from buckets where a metric adds up; else folded from events.

    All buckets come in one statement. They are split by all properties that their metric offers, events by the properties
    of the reading. A metric that came to the card after a filter need not offer its property; then events are folded too.
    """
    from_buckets = [[one for one in item.readings if one.has_buckets(item.filters)] for item in asked]
    wanted = {
        place: BucketsAsked([one.split[0] for one in splits], asked[place].references, asked[place].period)
        for place, splits in enumerate(from_buckets)
        if splits
    }
    buckets = dict(zip(wanted, await EVENTS.hours(session, list(wanted.values())) if wanted else (), strict=True))
    groups = _Groups()
    found: list[dict[Split, HoursByGroup]] = []
    for place, item in enumerate(asked):
        hours: dict[Split, HoursByGroup] = {}
        for reading in from_buckets[place]:
            by_text = buckets[place].get(reading.split[0])
            by_group = {} if by_text is None else {groups[text]: quantities for text, quantities in by_text.items()}
            hours[reading.split] = taken(item.filters, by_group)
        if len(hours) < len(item.readings):
            hours |= await _measured(session, item)
            for reading in item.readings:
                if reading.split not in hours:
                    hours[reading.split] = await _folded(session, reading, item)
        found.append(hours)
    return found


class _Groups(dict[str, Group]):
    """The groups of one answer by their texts, of which there are few: they come again with each metric and customer."""

    def __missing__(self, text: str) -> Group:
        self[text] = group = group_from_text(text)
        return group


async def _measured(session: AsyncSession, asked: HoursAsked) -> dict[Split, HoursByGroup]:
    """What prices per event ask for: of each metric and split in one statement, and so of the same events."""
    together: dict[tuple[UUID, tuple[str, ...]], list[MetricReading]] = {}
    for reading in asked.readings:
        if reading.measure is not None:
            together.setdefault((reading.row.id, reading.by), []).append(reading)
    hours: dict[Split, HoursByGroup] = {}
    for readings in together.values():
        metric, period = metric_of(readings[0].row), asked.period
        assert period.ending_before is not None, "usage is read up to some instant"
        rates = dict.fromkeys(reading.measure.rate for reading in readings if reading.measure is not None)
        found = await EVENTS.hourly_per_event(
            session, metric, list(rates), by=readings[0].by, references=asked.references,
            starting_at=period.starting_at, ending_before=period.ending_before, filters=asked.filters,
        )  # fmt: skip
        for reading in readings:
            of_part = found.get(reading.measure, {}) if reading.measure is not None else {}
            hours[reading.split] = {group: cumulative(metric.aggregation, by) for group, by in of_part.items()}
    return hours


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
    ) -> Sequence[Mapping[Split, HoursByGroup]]:
        """As `hours_of_metrics`."""
        ...
