"""What a usage query may ask.

Owns its refusals: the interval, the number of windows, and properties that the metric does not offer together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.catalog.tables import MetricRow
from app.checks import Path, at_most, distinct, interval_of, text_of
from app.core.period import Period
from app.core.windows import MAX_GROUPS, UsageQuery, UsageWindow
from app.errors import ErrorCode, InvalidInput, LimitExceeded

MAX_WINDOWS = 1_000
MAX_TEXT = 200
PATH = ("input",)


def checked_query(
    row: MetricRow,
    starting_at: datetime,
    ending_before: datetime | None,
    size: UsageWindow,
    *,
    by: Sequence[str],
    only: Mapping[str, Sequence[str]],
) -> UsageQuery:
    """The query as the core reads it. Errors: see `query_usage`."""
    period = _period(starting_at, ending_before)
    query = UsageQuery(period, size, _names(by), {name: _values(found) for name, found in only.items()})
    _check_offered(row, query)
    return query


def _period(starting_at: datetime, ending_before: datetime | None) -> Period:
    path = (*PATH, "interval")
    start, end = interval_of(starting_at, ending_before, path=path)
    assert start is not None
    if end is None:
        raise InvalidInput(ErrorCode.REQUIRED, "Say where the interval ends.", path=(*path, "endingBefore"))
    return Period(start, end)


def _names(by: Sequence[str]) -> tuple[str, ...]:
    path = (*PATH, "groupBy")
    return tuple(sorted(distinct([text_of(name, path=path, longest=MAX_TEXT) for name in by], path=path)))


def _values(values: Sequence[str]) -> tuple[str, ...]:
    path: Path = (*PATH, "filters")
    if not values:
        raise InvalidInput(ErrorCode.REQUIRED, "A filter names at least one value.", path=path)
    at_most(values, MAX_GROUPS, path=path)
    return distinct([text_of(value, path=path, longest=MAX_TEXT) for value in values], path=path)


def _check_offered(row: MetricRow, query: UsageQuery) -> None:
    """Everything by which usage is split or chosen lies in one group key, and the windows are not too many."""
    wanted = {*query.by, *query.only}
    if wanted and not any(wanted <= set(names) for names in row.group_keys):
        offered = "; ".join(", ".join(names) for names in row.group_keys) or "none"
        raise InvalidInput(
            ErrorCode.INVALID,
            f"No single group key of metric {row.name[:80]!r} holds {', '.join(sorted(wanted))[:200]}; "
            f"its group keys are: {offered[:300]}.",
            path=(*PATH, "groupBy" if query.by else "filters"),
        )
    end = query.period.ending_before
    assert end is not None
    hours = {UsageWindow.HOUR: 1, UsageWindow.DAY: 24}.get(query.size)
    if hours is not None and (end - query.period.starting_at).total_seconds() > MAX_WINDOWS * hours * 3600:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"The interval has more than {MAX_WINDOWS} windows; ask for longer ones or a shorter interval.",
            path=(*PATH, "interval"),
        )
