"""The reading half of the default event store.

Owns the choice of statement for each question. Folded hours and unfolded deltas are always read together; the statements
that fold events are in `folding_postgres.py` and `windows_postgres.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters
from app.core.metering import Event, HourQuantity
from app.core.period import Period
from app.core.terms import Group, Metric
from app.core.windows import UsageQuery, WindowValues
from app.usage.events import BucketsAsked, FoundEvent, HoursOfMetrics, Measure, PercentagePerEvent
from app.usage.folding_postgres import hourly_from_events, hourly_per_event
from app.usage.single_postgres import PROPERTIES, events_behind, find_events
from app.usage.windows_postgres import window_values

# One row for each group: a row for each hour costs five times as much to read. Every reference is looked up by itself, so
# that its index answers however many are asked for, and whatever the planner believes of the length of an array.
HOURS = """
select place, metric_id, group_values, array_agg(hour order by hour), array_agg(quantity order by hour)
from (
    select place, metric_id, group_values, hour, sum(quantity) as quantity
    from unnest(
        cast(:places as integer[]), cast(:references as text[]),
        cast(:starting_at as timestamptz[]), cast(:ending_before as timestamptz[])
    ) as given (place, reference, starting_at, ending_before)
    cross join lateral (
        select metric_id, group_values, hour, quantity from bucket_hours b
        where b.reference = given.reference and metric_id = any(cast(:metric_ids as uuid[]))
          and hour >= given.starting_at and hour < given.ending_before
        union all
        select metric_id, group_values, hour, quantity from bucket_deltas d
        where d.reference = given.reference and metric_id = any(cast(:metric_ids as uuid[]))
          and hour >= given.starting_at and hour < given.ending_before
    ) both_halves
    group by place, metric_id, group_values, hour having sum(quantity) <> 0
) by_hour
group by place, metric_id, group_values order by place, metric_id, group_values
"""
EARLIER = """
select reference, event_type, occurred_at, cast(properties as text) from events
where batch <= :up_to_batch
  and (cast(:references as text[]) is null or reference = any(:references))
  and (cast(:starting_at as timestamptz) is null or occurred_at >= :starting_at)
  and (cast(:ending_before as timestamptz) is null or occurred_at < :ending_before)
order by occurred_at, batch, place limit cast(:limit as bigint)
"""


class PostgresReads:
    """Answers for what is stored; see `EventStore`."""

    async def hours(self, session: AsyncSession, asked: Sequence[BucketsAsked]) -> list[HoursOfMetrics]:
        """Folded and unfolded parts in one statement, so in one snapshot."""
        given = [(place, reference, item.period) for place, item in enumerate(asked) for reference in item.references]
        # Rows are read as they come: there may be very many.
        connection = await session.connection()
        rows = await connection.execute(
            text(HOURS),
            {
                "places": [place for place, _, _ in given],
                "references": [reference for _, reference, _ in given],
                "starting_at": [period.starting_at for _, _, period in given],
                "ending_before": [period.ending_before for _, _, period in given],
                "metric_ids": list({metric_id for item in asked for metric_id in item.metric_ids}),
            },
        )
        found: list[dict[UUID, dict[str, list[HourQuantity]]]] = [{} for _ in asked]
        for place, metric_id, group_values, hours, quantities in rows:
            found[place].setdefault(metric_id, {})[group_values] = [
                HourQuantity(hour.astimezone(dt.UTC), quantity)
                for hour, quantity in zip(hours, quantities, strict=True)
            ]
        return list[HoursOfMetrics](found)

    async def hourly(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        by: Sequence[str],
        references: Sequence[str],
        starting_at: dt.datetime,
        ending_before: dt.datetime,
        filters: Filters = (),
    ) -> Mapping[Group, Mapping[dt.datetime, Decimal]]:
        """Folded in SQL, from the events of the period."""
        return await hourly_from_events(
            session,
            metric,
            by=by,
            references=references,
            starting_at=starting_at,
            ending_before=ending_before,
            filters=filters,
        )

    async def hourly_per_event(
        self,
        session: AsyncSession,
        metric: Metric,
        rates: Sequence[PercentagePerEvent],
        *,
        by: Sequence[str],
        references: Sequence[str],
        starting_at: dt.datetime,
        ending_before: dt.datetime,
        filters: Filters = (),
    ) -> Mapping[Measure, Mapping[Group, Mapping[dt.datetime, Decimal]]]:
        """Divided and counted in SQL, in one statement."""
        return await hourly_per_event(
            session,
            metric,
            rates,
            by=by,
            references=references,
            starting_at=starting_at,
            ending_before=ending_before,
            filters=filters,
        )

    async def windows(
        self,
        session: AsyncSession,
        metric: Metric,
        query: UsageQuery,
        *,
        references: Sequence[str],
        from_buckets: bool,
    ) -> WindowValues:
        """In SQL, from buckets or events."""
        return await window_values(session, metric, query, references=references, from_buckets=from_buckets)

    async def find(self, session: AsyncSession, ids: Sequence[UUID]) -> Sequence[FoundEvent]:
        """By the index of the digests, over all days."""
        return await find_events(session, ids)

    async def behind(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        group: Group,
        references: Sequence[str],
        period: Period,
        filters: Filters,
        after: tuple[dt.datetime, UUID] | None,
        limit: int,
    ) -> Sequence[FoundEvent]:
        """By the index of references and times."""
        return await events_behind(
            session,
            metric,
            group=group,
            references=references,
            period=period,
            filters=filters,
            after=after,
            limit=limit,
        )

    async def earlier(
        self,
        session: AsyncSession,
        *,
        up_to_batch: int,
        references: Sequence[str] | None = None,
        starting_at: dt.datetime | None = None,
        ending_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Sequence[Event]]:
        """The events of batches up to a number, in pages; all of them, or those of a customer's period."""
        result = await session.stream(
            text(EARLIER),
            {
                "up_to_batch": up_to_batch, "references": None if references is None else list(references),
                "starting_at": starting_at, "ending_before": ending_before, "limit": limit,
            },
        )  # fmt: skip
        async for page in result.partitions(5_000):
            yield [Event(row[0], row[1], row[2].astimezone(dt.UTC), PROPERTIES.decode(row[3])) for row in page]
