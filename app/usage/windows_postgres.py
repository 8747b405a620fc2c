"""Usage queries in SQL: one row for each window and group leaves the database.

Owns the statements. Sums and counts are read from the hourly buckets where those are complete; everything else is folded
from the events. What a window's value means is `core.windows`, with which this module agrees event for event.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.terms import Aggregation, Group, Metric
from app.core.windows import MAX_ENTRIES, MAX_GROUPS, UsageQuery, UsageWindow, WindowValues
from app.usage.folding_postgres import conditions_of, reading_of, sighting_of, text_of

BUCKETS = """
select {groups} as groups, {window} as window_start, quantity as value
from (
    select group_values, hour as occurred_at, quantity from bucket_hours where metric_id = :metric_id
      and reference = any(:references) and hour >= :starting_at and hour < :ending_before
    union all
    select group_values, hour, quantity from bucket_deltas where metric_id = :metric_id
      and reference = any(:references) and hour >= :starting_at and hour < :ending_before
) both_halves
where true{conditions}
"""
EVENTS = """
select {groups} as groups, {window} as window_start, {value} as value, occurred_at, batch, place
from events
where reference = any(:references) and occurred_at >= :starting_at and occurred_at < :ending_before{conditions}
"""
STARTS = {
    UsageWindow.HOUR: "date_trunc('hour', occurred_at, 'UTC')",
    UsageWindow.DAY: "greatest(date_trunc('day', occurred_at, 'UTC'), cast(:starting_at as timestamptz))",
    UsageWindow.NONE: "cast(:starting_at as timestamptz)",
}
VALUES = {
    Aggregation.COUNT: "sum(value)",
    Aggregation.SUM: "sum(value)",
    # A statement begins at 0, which no lower value takes back.
    Aggregation.MAX: "greatest(max(value), 0)",
    Aggregation.UNIQUE: "cast(count(distinct value) as numeric)",
    Aggregation.LATEST: "(array_agg(value order by occurred_at desc, batch desc, place desc))[1]",
}
OUTCOMES = """
select {groups} as groups, {window} as window_start, {keys} as key, {counted} as is_counted, 1 as value, occurred_at,
    batch, place
from events
where reference = any(:references) and occurred_at >= :starting_at and occurred_at < :ending_before{conditions}
"""
OF_EACH = {
    Aggregation.SESSION_COUNT: "cardinality(session_starts(occurred_at, make_interval(secs => :seconds) order by occurred_at))",
    Aggregation.COUNT_LATEST: "cast((array_agg(is_counted order by occurred_at desc, batch desc, place desc))[1] as integer)",
}
ANSWER = """
with seen as ({seen}), kept as (select distinct groups from seen where value is not null order by groups limit :most)
select window_start, groups, {value} from seen
where value is not null and groups in (select groups from kept)
group by window_start, groups order by window_start, groups limit :limit
"""


OUTCOMES_ANSWER = """
with seen as ({seen}), kept as (select distinct groups from seen order by groups limit :most), of_each as (
    select window_start, groups, {value} as value from seen
    where groups in (select groups from kept) group by window_start, groups, key
)
select window_start, groups, cast(sum(value) as numeric) from of_each
group by window_start, groups order by window_start, groups limit :limit
"""


async def window_values(
    session: AsyncSession, metric: Metric, query: UsageQuery, *, references: Sequence[str], from_buckets: bool
) -> WindowValues:
    """The values of a query; see `EventStore.windows`."""
    names = sorted(set(query.by))
    values: dict[str, Any] = {
        "references": list(references),
        "starting_at": query.period.starting_at,
        "ending_before": query.period.ending_before,
        "most": MAX_GROUPS + 1,
        "limit": MAX_ENTRIES + 1,
    }
    values |= {f"by{place}": name for place, name in enumerate(names)}
    if metric.outcome is not None:
        seen = _outcomes(metric, query, len(names), values)
        statement = OUTCOMES_ANSWER.format(seen=seen, value=OF_EACH[metric.aggregation])
    else:
        seen = (_from_buckets if from_buckets else _from_events)(metric, query, len(names), values)
        statement = ANSWER.format(seen=seen, value=VALUES[metric.aggregation])
    found = await session.execute(text(statement), values)
    answer: WindowValues = {}
    for start, group_values, value in found:
        group: Group = tuple(zip(names, group_values, strict=True))
        answer[start.astimezone(dt.UTC), group] = value
    return answer


def _from_buckets(metric: Metric, query: UsageQuery, count: int, values: dict[str, Any]) -> str:
    values["metric_id"] = metric.id
    conditions: list[str] = []
    for place, (name, accepted) in enumerate(query.only.items()):
        values |= {f"only{place}": name, f"only{place}_in": list(accepted)}
        conditions.append(f"\n  and {_in_bucket(f'only{place}')} = any(:only{place}_in)")
    groups = ", ".join(_in_bucket(f"by{place}") for place in range(count))
    return BUCKETS.format(
        groups=f"cast(array[{groups}] as text[])", window=STARTS[query.size], conditions="".join(conditions)
    )


def _from_events(metric: Metric, query: UsageQuery, count: int, values: dict[str, Any]) -> str:
    conditions = conditions_of(query.narrow(metric), values)
    groups = ", ".join(text_of(f"by{place}") for place in range(count))
    return EVENTS.format(
        groups=f"cast(array[{groups}] as text[])",
        window=STARTS[query.size],
        value=reading_of(metric, values),
        conditions="".join(f"\n  and {condition}" for condition in conditions),
    )


def _outcomes(metric: Metric, query: UsageQuery, count: int, values: dict[str, Any]) -> str:
    conditions = conditions_of(query.narrow(metric), values)
    sighted = sighting_of(metric, conditions, values)
    groups = ", ".join(text_of(f"by{place}") for place in range(count))
    return OUTCOMES.format(
        groups=f"cast(array[{groups}] as text[])",
        window=STARTS[query.size],
        keys=sighted.key,
        counted=sighted.is_counted,
        conditions="".join(f"\n  and {condition}" for condition in conditions),
    )


def _in_bucket(parameter: str) -> str:
    return f"cast(group_values as jsonb) ->> cast(:{parameter} as text)"
