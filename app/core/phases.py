"""Cuts a statement period at every instant at which something about pricing changes.

Owns the cutting; what counts as a change is told by the modules that know it (`pricing` today). One list of phases for
all products of a statement keeps the order of charges a matter of time alone (golden decision 13).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
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


def sums_by_phase(hours: Sequence[HourQuantity], stretches: Sequence[Period]) -> list[Decimal]:
    """The quantity of each phase, in order of time. Sums are enough: the slices of a sum are the sums of the slices."""
    starts = [phase.starting_at for phase in stretches]
    end = stretches[-1].ending_before
    assert end is not None, "a statement has an end"
    quantities = [ZERO] * len(stretches)
    if len(stretches) == 1:
        assert all(starts[0] <= item.hour < end for item in hours), "the hours of a statement lie inside it"
        with exact():
            return [sum((item.quantity for item in hours), ZERO)]
    with exact():
        for item in hours:
            assert starts[0] <= item.hour < end, "the hours of a statement lie inside it"
            quantities[bisect_right(starts, item.hour) - 1] += item.quantity
    return quantities
