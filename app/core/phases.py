"""Cuts a statement period at every instant at which something about pricing changes.

Owns the cutting; what counts as a change is told by the modules that know it (`pricing` today). One list of phases for
all products of a statement keeps the order of charges a matter of time alone (golden decision 13).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from app.core.period import Period, is_hour


def phases(period: Period, changes: Iterable[datetime]) -> tuple[Period, ...]:
    """The stretches of `period` between the changes that lie inside it, in order; together they are the period.

    The period must have an end, and every bound lies on a full hour, so that no hourly quantity is split.
    """
    assert period.ending_before is not None, "a statement has an end"
    end = period.ending_before
    inside = {instant for instant in changes if period.starting_at < instant < end}
    bounds = [period.starting_at, *sorted(inside), end]
    assert all(map(is_hour, bounds)), "prices change, and statements begin and end, on full hours"
    return tuple(Period(start, stop) for start, stop in pairwise(bounds))
