"""Reads the quantities of SQL metrics.

Owns the way from what a query comes to at each hour to what the hour adds; the evaluation is the store's.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters
from app.core.metering import HoursByGroup
from app.core.period import Period
from app.core.sql_metric import Query
from app.core.sql_values import differenced, summed
from app.usage.service import EVENTS


async def hours_of_query(
    session: AsyncSession,
    query: Query,
    references: Sequence[str],
    period: Period,
    *,
    by: Sequence[str],
    filters: Filters,
) -> HoursByGroup:
    """What each hour adds to the quantity of an SQL metric, by the columns `by` of its result."""
    steps = await EVENTS.query_hours(session, query, by=by, references=references, period=period, filters=filters)
    return summed(steps) if query.is_additive else differenced(steps)
