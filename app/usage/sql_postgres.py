"""Evaluates the query of an SQL metric in the database, by hour or by window.

Owns over which events the query is evaluated each time. A non-additive query sees all events from the period's start to
the end of each hour in which something happened; of an additive one each hour is evaluated alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters
from app.core.period import Period
from app.core.sql_metric import Query
from app.core.windows import UsageQuery, WindowValues, chosen, windows
from app.usage.events import Steps
from app.usage.sql_answers import answer, events_seen
from app.usage.sql_statements import Statement

HOURS = """
select distinct date_trunc('hour', occurred_at, 'UTC') as label from events
where reference = any(:references) and ({parts})
"""
SPANS = """
select label, {low} as low, label + interval '1 hour' as high from ({hours}) hours
"""
WINDOWS = """
select low as label, low, high from unnest(cast(:lows as timestamptz[]), cast(:highs as timestamptz[])) w (low, high)
where exists (
    select 1 from events where reference = any(:references) and occurred_at >= low and occurred_at < high and ({parts})
)
"""


class PostgresQueries:
    """Answers for SQL metrics; see `EventStore`."""

    async def query_hours(
        self,
        session: AsyncSession,
        query: Query,
        *,
        by: Sequence[str],
        references: Sequence[str],
        period: Period,
        filters: Filters,
    ) -> Steps:
        """In one statement, generated from the query."""
        statement = Statement()
        parts = events_seen(statement, references, period, filters)
        low = "label" if query.is_additive else "cast(:starting_at as timestamptz)"
        statement.values["starting_at"] = period.starting_at
        spans = SPANS.format(low=low, hours=HOURS.format(parts=parts))
        return await answer(session, query, statement, spans=spans, parts=parts, by=by)

    async def query_windows(
        self, session: AsyncSession, query: Query, asked: UsageQuery, *, references: Sequence[str]
    ) -> WindowValues:
        """In one statement too; values of columns that are not asked for are left out here."""
        statement = Statement()
        parts = events_seen(statement, references, asked.period)
        spans = windows(asked.period, asked.size)
        statement.values |= {
            "lows": [span.starting_at for span in spans],
            "highs": [span.ending_before for span in spans],
        }
        by = sorted({*asked.by, *asked.only})
        steps = await answer(session, query, statement, spans=WINDOWS.format(parts=parts), parts=parts, by=by)
        return chosen(asked, steps)
