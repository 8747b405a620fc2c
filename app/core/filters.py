"""Which of a customer's usage is a contract's own: its usage filter, and how the filter changes over time.

Owns semantics 4.9. The filter in force at the time of an event decides about it, before anything is grouped or
aggregated; so the highest value of a MAX, or the last one of a LATEST, is that of the events which the contract takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.metering import Event, HourQuantity, HoursByGroup, group_of
from app.core.period import Period
from app.core.terms import Group, UsageFilter

Filters = Sequence[UsageFilter]
"""The filters of a contract by start; each is in force until the next begins, and before the first there is none."""


def filter_at(filters: Filters, at: datetime) -> UsageFilter | None:
    """The filter in force at an instant; None while the contract takes all usage."""
    return next((item for item in reversed(filters) if item.starting_at <= at), None)


def takes(filters: Filters, event: Event) -> bool:
    """Whether an event is the contract's. One without the property is nobody's while a filter is in force."""
    found = filter_at(filters, event.timestamp)
    return found is None or dict(group_of([found.key], event))[found.key] in found.values


def taken(filters: Filters, hours_by_group: HoursByGroup) -> HoursByGroup:
    """The hours that are the contract's, of a metric that adds up and is split by every filter's property.

    Groups of which nothing is left are left out.
    """
    if not filters:
        return hours_by_group
    found = {
        group: tuple(item for item in hours if _group_passes(filters, group, item))
        for group, hours in hours_by_group.items()
    }
    return {group: hours for group, hours in found.items() if hours}


def stretches(filters: Filters, period: Period) -> tuple[tuple[Period, UsageFilter | None], ...]:
    """The parts of a period with the filter in force in each, in order; together they are the period."""
    starts = sorted({period.starting_at, *(item.starting_at for item in filters if period.contains(item.starting_at))})
    ends = [*starts[1:], period.ending_before]
    return tuple((Period(start, end), filter_at(filters, start)) for start, end in zip(starts, ends, strict=True))


def share_usage(one: Filters, other: Filters, period: Period) -> bool:
    """Whether some usage in the period could be that of both contracts.

    Only filters on the same property with no value in common keep two contracts apart.
    """
    starts = [item.starting_at for item in other if period.contains(item.starting_at)]
    for part, own in stretches(one, period):
        for at in (part.starting_at, *(start for start in starts if part.contains(start))):
            theirs = filter_at(other, at)
            apart = own and theirs and own.key == theirs.key and not set(own.values) & set(theirs.values)
            if not apart:
                return True
    return False


def _group_passes(filters: Filters, group: Group, item: HourQuantity) -> bool:
    found = filter_at(filters, item.hour)
    return found is None or dict(group)[found.key] in found.values
