"""Half-open stretches of time, calendar steps and the statement periods of a contract.

Owns every rule about dates: hours, month ends, quarters, the first and the last period of a contract. What happens in
a period is left to others. All instants are aware and in UTC; nothing here knows what time it is.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

HOUR = timedelta(hours=1)
SINCE_EVER = datetime(1, 1, 1, tzinfo=UTC)
"""The start of what has always been so, such as a rate without a start."""


class Frequency(StrEnum):
    """How often something recurs, in calendar terms."""

    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    QUARTERLY = "QUARTERLY"
    SEMI_ANNUAL = "SEMI_ANNUAL"
    ANNUAL = "ANNUAL"


class StatementDay(StrEnum):
    """Where statement periods begin: on a first of the month, where the contract began, or on a date of choice."""

    FIRST_OF_MONTH = "FIRST_OF_MONTH"
    CONTRACT_START = "CONTRACT_START"
    CUSTOM_DATE = "CUSTOM_DATE"


_WEEK = timedelta(days=7)
_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMI_ANNUAL: 6, Frequency.ANNUAL: 12}


@dataclass(frozen=True, slots=True)
class Period:
    """From `starting_at` up to, and without, `ending_before`; None means without end.

    An end at the start is refused unless `allow_empty` says that nothing is a possible answer here.
    """

    starting_at: datetime
    ending_before: datetime | None = None
    allow_empty: InitVar[bool] = False

    def __post_init__(self, allow_empty: bool) -> None:
        _require_utc(self.starting_at)
        if self.ending_before is None:
            return
        _require_utc(self.ending_before)
        if self.ending_before < self.starting_at or (self.ending_before == self.starting_at and not allow_empty):
            raise ValueError(f"the end {self.ending_before.isoformat()} must lie after {self.starting_at.isoformat()}")

    def contains(self, instant: datetime) -> bool:
        """True from the start on and before the end."""
        return self.starting_at <= instant and (self.ending_before is None or instant < self.ending_before)

    def intersect(self, other: Period) -> Period | None:
        """The time that lies in both, or None when there is none."""
        starting_at = max(self.starting_at, other.starting_at)
        ends = [end for end in (self.ending_before, other.ending_before) if end is not None]
        ending_before = min(ends, default=None)
        if ending_before is not None and ending_before <= starting_at:
            return None
        return Period(starting_at, ending_before)


@dataclass(frozen=True, slots=True)
class StatementSchedule:
    """When usage statements begin. `anchor` belongs to CUSTOM_DATE and may lie before or after the contract's start.

    Periods that end at or before `generate_from` get no invoice (default: none is left out).
    """

    frequency: Frequency = Frequency.MONTHLY
    day: StatementDay = StatementDay.FIRST_OF_MONTH
    anchor: datetime | None = None
    generate_from: datetime | None = None

    def __post_init__(self) -> None:
        if self.frequency is Frequency.SEMI_ANNUAL:
            raise ValueError("statements are WEEKLY, MONTHLY, QUARTERLY or ANNUAL, not SEMI_ANNUAL")
        if (self.anchor is None) is (self.day is StatementDay.CUSTOM_DATE):
            raise ValueError(f"an anchor goes with CUSTOM_DATE and only with it; day is {self.day}")
        if self.anchor is not None and not is_hour(self.anchor):
            raise ValueError(f"the anchor {self.anchor.isoformat()} must lie on a full hour (UTC)")
        if self.generate_from is not None:
            _require_utc(self.generate_from)


def is_hour(instant: datetime) -> bool:
    """True for a full hour in UTC. ValueError for an instant that is not aware and in UTC."""
    return floor_hour(instant) == instant


def floor_hour(instant: datetime) -> datetime:
    """The full hour at or before the instant."""
    _require_utc(instant)
    return instant.replace(minute=0, second=0, microsecond=0)


def ceil_hour(instant: datetime) -> datetime:
    """The full hour at or after the instant."""
    floored = floor_hour(instant)
    return floored if floored == instant else floored + HOUR


def step(anchor: datetime, frequency: Frequency, count: int) -> datetime:
    """The `count`-th recurrence after the anchor; a negative count goes back.

    Months keep the anchor's day and time; where the month is too short its last day is taken, and the next longer
    month has the anchor's day again, because every step is counted from the anchor (semantics 4.3).
    """
    _require_utc(anchor)
    if frequency is Frequency.WEEKLY:
        return anchor + count * _WEEK
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + count * _MONTHS[frequency], 12)
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)


def statement_periods(schedule: StatementSchedule, *, contract: Period, begun_by: datetime) -> Iterator[Period]:
    """The statement periods that began at or before `begun_by`, in order.

    The first is cut at the contract's start, the last at its end. Consecutive periods meet; each is the same however
    often and whenever it is asked for. ValueError when the contract does not begin or end on a full hour.
    """
    anchor = statement_anchor(schedule, contract)
    first = contract.starting_at
    if schedule.generate_from is not None:
        first = max(first, schedule.generate_from)
    index = _index_at(anchor, schedule.frequency, first)
    start = step(anchor, schedule.frequency, index)
    while True:
        index += 1
        end = step(anchor, schedule.frequency, index)
        period = Period(start, end).intersect(contract)
        if period is None or period.starting_at > begun_by:
            return
        if schedule.generate_from is None or _ends_after(period, schedule.generate_from):
            yield period
        start = end


def statement_period_at(schedule: StatementSchedule, *, contract: Period, at: datetime) -> Period | None:
    """The statement period in which `at` lies; None outside the contract or before invoices are generated."""
    if not contract.contains(at):
        return None
    anchor = statement_anchor(schedule, contract)
    index = _index_at(anchor, schedule.frequency, at)
    grid = Period(step(anchor, schedule.frequency, index), step(anchor, schedule.frequency, index + 1))
    period = grid.intersect(contract)
    assert period is not None, "an instant of the contract lies in one of its periods"
    if schedule.generate_from is not None and not _ends_after(period, schedule.generate_from):
        return None
    return period


def first_whole_period_start(schedule: StatementSchedule, *, contract: Period) -> datetime:
    """Where the first statement period begins that the contract's start does not cut: at that start or after it."""
    anchor = statement_anchor(schedule, contract)
    index = _index_at(anchor, schedule.frequency, contract.starting_at)
    begun = step(anchor, schedule.frequency, index)
    return begun if begun == contract.starting_at else step(anchor, schedule.frequency, index + 1)


def uncovered(period: Period, covered: Iterable[Period]) -> Iterator[Period]:
    """What is left of a period beside those that are covered, in order of time; all of them have an end.

    A statement that became final before its contract was extended covers the first part of a period; the rest is a
    statement of its own (golden decision 39).
    """
    assert period.ending_before is not None, "a statement has an end"
    start = period.starting_at
    for other in sorted(covered, key=lambda item: item.starting_at):
        assert other.ending_before is not None, "a statement has an end"
        if other.ending_before <= start or other.starting_at >= period.ending_before:
            continue
        if start < other.starting_at:
            yield Period(start, other.starting_at)
        start = other.ending_before
    if start < period.ending_before:
        yield Period(start, period.ending_before)


def recurring_periods(
    anchor: datetime, frequency: Frequency, *, within: Period, begun_by: datetime
) -> Iterator[tuple[Period, Period]]:
    """The periods of a frequency that lie in `within` and began by an instant: each whole, and as it is cut."""
    index = _index_at(anchor, frequency, within.starting_at)
    while True:
        whole = Period(step(anchor, frequency, index), step(anchor, frequency, index + 1))
        cut = whole.intersect(within)
        if cut is None or cut.starting_at > begun_by:
            return
        yield whole, cut
        index += 1


def statement_anchor(schedule: StatementSchedule, contract: Period) -> datetime:
    """The instant from which the statement periods are counted (semantics 4.3)."""
    start = contract.starting_at
    if not is_hour(start) or (contract.ending_before is not None and not is_hour(contract.ending_before)):
        raise ValueError("a contract begins and ends on a full hour (UTC)")
    if schedule.anchor is not None:
        return schedule.anchor
    if schedule.day is StatementDay.CONTRACT_START:
        return start
    midnight = start.replace(hour=0)
    if schedule.frequency is Frequency.WEEKLY:
        return midnight  # The weekday of the contract's start.
    if schedule.frequency is Frequency.QUARTERLY:
        return midnight.replace(month=start.month - (start.month - 1) % 3, day=1)
    return midnight.replace(day=1)


def _index_at(anchor: datetime, frequency: Frequency, at: datetime) -> int:
    """The number of the step whose stretch holds the instant, without walking there."""
    if frequency is Frequency.WEEKLY:
        return (at - anchor) // _WEEK
    months = (at.year - anchor.year) * 12 + at.month - anchor.month
    index = months // _MONTHS[frequency]
    return index if step(anchor, frequency, index) <= at else index - 1


def _ends_after(period: Period, instant: datetime) -> bool:
    return period.ending_before is None or period.ending_before > instant


def _require_utc(instant: datetime) -> None:
    if instant.tzinfo is not UTC and instant.utcoffset() != timedelta(0):
        raise ValueError(f"{instant.isoformat()} must be an instant in UTC, with its zone")
