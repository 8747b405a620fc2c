"""Answers usage queries: what a metric comes to for one customer, by window and group.

Owns the way to the store and the limit of an answer; what may be asked is in `query_rules.py`, what a window's value
means in `core.windows`. Usage is that of the customer, whatever contract bills it; late usage and usage that no rate
prices is in it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.reading import get
from app.catalog.tables import MetricRow
from app.core.windows import MAX_ENTRIES, MAX_GROUPS, UsageEntry, UsageWindow, entries_of, groups_of
from app.errors import ErrorCode, LimitExceeded
from app.usage.query_rules import PATH, checked_query
from app.usage.references import references_of
from app.usage.service import EVENTS


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    """The entries by window and group; `is_truncated` when there are more groups than an answer shows."""

    metric: MetricRow
    entries: tuple[UsageEntry, ...]
    is_truncated: bool


async def query_usage(
    session: AsyncSession,
    *,
    customer_id: UUID,
    metric_id: UUID,
    starting_at: datetime,
    ending_before: datetime | None,
    size: UsageWindow,
    by: Sequence[str] = (),
    only: Mapping[str, Sequence[str]] | None = None,
) -> UsageAnswer:
    """The usage of a customer in an interval.

    Errors: `NotFound` for the metric, REQUIRED, NOT_HOUR_ALIGNED, INVALID_INTERVAL, INVALID for properties that no
    single group key of the metric holds, `LimitExceeded` above 1,000 windows or 20,000 values.
    """
    row = await get(session, MetricRow, metric_id, path=(*PATH, "metricId"))
    query = checked_query(row, starting_at, ending_before, size, by=by, only=only or {})
    metric = metric_of(row)
    references = await references_of(session, customer_id)
    if metric.query is not None:
        values = await EVENTS.query_windows(session, metric.query, query, references=references)
    else:
        is_ready = metric.aggregation.is_additive and row.buckets_ready
        values = await EVENTS.windows(session, metric, query, references=references, from_buckets=is_ready)
    groups = groups_of(query, values)
    if len(values) > MAX_ENTRIES or (query.names_groups and len(groups) * query.window_count > MAX_ENTRIES):
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"The answer has more than {MAX_ENTRIES} values; ask for longer windows, a shorter interval or fewer groups.",
            path=PATH,
        )
    is_truncated = not query.names_groups and len(groups) > MAX_GROUPS
    shown = groups if query.names_groups else groups[:MAX_GROUPS]
    return UsageAnswer(row, entries_of(query, shown, values), is_truncated)
