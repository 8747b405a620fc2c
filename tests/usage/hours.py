"""The hours of one metric, as drafts read them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.tables import MetricRow
from app.core.filters import Filters
from app.core.metering import HoursByGroup
from app.core.per_event import Measure
from app.core.period import Period
from app.usage.metric_hours import HoursAsked, MetricReading, hours_of_metrics


async def read_hours(
    session: AsyncSession,
    row: MetricRow,
    references: Sequence[str],
    period: Period,
    *,
    by: Sequence[str] = (),
    filters: Filters = (),
    measure: Measure | None = None,
) -> HoursByGroup:
    """Hourly quantities by group."""
    reading = MetricReading(row, tuple(by), measure)
    [found] = await hours_of_metrics(session, [HoursAsked([reading], references, period, filters)])
    return found[reading.split]
