"""Usage as it is asked for: the value of a metric in each hour, day or whole interval, by group.

Owns what the value of a window is: that of a statement over this window alone. The windows of a sum or count add up to
the interval; those of a highest, latest or number of different values do not, and are not meant to be added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import product

from app.core.metering import Event, cumulative, group_of, hourly, matches
from app.core.money import ZERO, exact
from app.core.period import HOUR, Period, floor_hour
from app.core.terms import Group, Metric, PropertyFilter


class UsageWindow(StrEnum):
    """How long the windows of a usage query are."""

    HOUR = "HOUR"
    DAY = "DAY"
    NONE = "NONE"


MAX_GROUPS = 200
"""How many groups an answer has when the query names no values (semantics 1.3)."""
MAX_ENTRIES = 20_000
"""How many values an answer has at most."""


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked of a metric: the period, how long the windows are, by which properties usage is split.

    `only` names the values of properties that count, of others than those in `by` too.
    """

    period: Period
    size: UsageWindow
    by: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def names_groups(self) -> bool:
        """Whether the query names the values of all properties by which it splits, and so every group."""
        return bool(self.by) and set(self.by) <= set(self.only)

    @property
    def window_count(self) -> int:
        """How many windows the period has."""
        return len(windows(self.period, self.size))

    def narrow(self, metric: Metric) -> Metric:
        """The metric over the events that count."""
        wanted = tuple(PropertyFilter(name, in_values=values) for name, values in self.only.items())
        return replace(metric, filters=(*metric.filters, *wanted))


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """The value of one window and group; None for a group that was named by its values and has no usage there."""

    period: Period
    group: Group
    value: Decimal | None


WindowValues = dict[tuple[datetime, Group], Decimal]
"""Values by the window's start and the group; windows in which nothing counted are left out."""


def window_start(at: datetime, period: Period, size: UsageWindow) -> datetime:
    """Where the window of an instant begins; days are those of UTC, and the first may be shorter."""
    match size:
        case UsageWindow.HOUR:
            return floor_hour(at)
        case UsageWindow.DAY:
            return max(floor_hour(at).replace(hour=0), period.starting_at)
        case UsageWindow.NONE:  # pragma: no branch - the type checker proves that no case is missing
            return period.starting_at


def windows(period: Period, size: UsageWindow) -> tuple[Period, ...]:
    """The windows of a period with an end, in order; together they are the period."""
    assert period.ending_before is not None, "what is asked for has an end"
    found: list[Period] = []
    start = period.starting_at
    while start < period.ending_before:
        match size:
            case UsageWindow.HOUR:
                end = start + HOUR
            case UsageWindow.DAY:
                end = start.replace(hour=0) + timedelta(days=1)
            case UsageWindow.NONE:  # pragma: no branch - as above
                end = period.ending_before
        found.append(Period(start, min(end, period.ending_before)))
        start = end
    return tuple(found)


def groups_of(query: UsageQuery, values: WindowValues) -> list[Group]:
    """The groups of an answer by their values, those without a value last: those named, or else those found."""
    found: Iterable[Group] = {group for _, group in values}
    if query.names_groups:
        found = product(*([(name, value) for value in query.only[name]] for name in sorted(query.by)))
    return sorted(found, key=lambda group: [(value is None, value or "") for _, value in group])


def entries_of(query: UsageQuery, groups: Sequence[Group], values: WindowValues) -> tuple[UsageEntry, ...]:
    """The answer, by window and group; windows and groups without usage are in it when their group was named."""
    return tuple(
        UsageEntry(part, group, values.get((part.starting_at, group)))
        for part in windows(query.period, query.size)
        for group in groups
        if query.names_groups or (part.starting_at, group) in values
    )


def chosen(query: UsageQuery, steps: Iterable[tuple[datetime, Mapping[Group, Decimal]]]) -> WindowValues:
    """The values of an SQL metric that a query asks for, from those of each window by all columns that it names."""
    found: WindowValues = {}
    for start, values in steps:
        for group, value in values.items():
            texts = dict(group)
            if all(texts[name] in accepted for name, accepted in query.only.items()):
                key = (start, tuple((name, texts[name]) for name in sorted(query.by)))
                with exact():
                    found[key] = found.get(key, ZERO) + value
    return found


def windowed(metric: Metric, events: Iterable[Event], query: UsageQuery) -> WindowValues:
    """The values of a metric over events of the period, given in the order of their ingest.

    This is the meaning; stores compute it in SQL and must agree.
    """
    narrowed = query.narrow(metric)
    parts: dict[tuple[datetime, Group], list[Event]] = defaultdict(list)
    for event in events:
        if matches(narrowed, event):
            start = window_start(event.timestamp, query.period, query.size)
            parts[start, group_of(query.by, event)].append(event)
    found: WindowValues = {}
    for key, chosen in parts.items():
        hours = hourly(metric, chosen)
        if hours:
            with exact():
                found[key] = sum((item.quantity for item in cumulative(metric.aggregation, hours)), ZERO)
    return found
