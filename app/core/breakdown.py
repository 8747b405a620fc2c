"""The same statement split by hour or by day, so that the windows add up to its lines exactly.

Owns the windows and what falls into which. Charges are made as for the invoice, cut at the bounds of the windows as
well, and balances pay of each part what they paid of the whole: cuts move no money, so a breakdown can never disagree
with the invoice it explains.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from app.core.grants import Pot
from app.core.invoice import assemble, finalize
from app.core.lines import Line, LineType, merged
from app.core.money import ZERO, exact
from app.core.period import HOUR, Period, floor_hour
from app.core.quantities import Usage
from app.core.shares import cut_lines
from app.core.terms import Terms


class WindowSize(StrEnum):
    """How long the windows of a breakdown are."""

    HOUR = "HOUR"
    DAY = "DAY"

    @property
    def length(self) -> timedelta:
        """That of a whole window."""
        return HOUR if self is WindowSize.HOUR else timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """What one hour or day of a statement adds to it. `total` is the exact sum of the lines that count."""

    period: Period
    lines: tuple[Line, ...]
    total: Decimal


def window_bounds(period: Period, size: WindowSize) -> tuple[datetime, ...]:
    """Where windows begin: full hours or midnights (UTC) inside the period, and the period's own start.

    The first and the last window of a period that begins or ends in mid-day are shorter.
    """
    assert period.ending_before is not None, "a statement has an end"
    midnight = period.starting_at.replace(hour=0)
    count = (period.ending_before - midnight) // size.length + 1
    instants = (midnight + number * size.length for number in range(count))
    return (
        period.starting_at,
        *(instant for instant in instants if period.starting_at < instant < period.ending_before),
    )


def break_down(
    terms: Terms,
    period: Period,
    usage: Usage,
    *,
    size: WindowSize,
    is_final: bool,
    pots: Sequence[Pot] = (),
    fees: Sequence[Line] = (),
    charges: Sequence[Line] = (),
) -> tuple[Window, ...]:
    """The windows of a statement in which something is, in order of time. `pots` and `fees` as in `rate_statement`.

    *Shapes*: the windows' lines are those of the statement, cut at the windows' bounds and sorted as there. The rounding
    of a final statement lies in its last hour (golden decision 5), whether anything was used then or not. Fees and
    scheduled `charges` lie in the window of their date, or in the last one when they are dated outside (golden decision
    35).
    """
    bounds = window_bounds(period, size)
    lines = cut_lines(terms, period, usage, pots=pots, fees=fees, cuts=bounds)
    # Found on the cut lines: their sum is the statement's subtotal, because cuts move no money.
    rounding = finalize(assemble([*lines, *charges], terms.unit)).lines[-1:] if is_final else ()
    by_start: dict[datetime, list[Line]] = defaultdict(list)
    for line in (*lines, *charges):
        placed = line.charged_at or line.starting_at
        assert placed is not None, "what was used was used at some time"
        date = placed if period.contains(placed) else bounds[-1]
        by_start[bounds[bisect_right(bounds, date) - 1]].append(line)
    by_start[bounds[-1]].extend(line for line in rounding if line.type is LineType.ROUNDING)
    found = (one for one in window_periods(period, size) if by_start.get(one.starting_at))
    windows = (_window(one, merged(by_start[one.starting_at])) for one in found)
    return tuple(window for window in windows if window.lines)


def scheduled_window(date: datetime, lines: Sequence[Line], *, size: WindowSize) -> Window:
    """The one window of a scheduled invoice: the hour or the day of its date."""
    start = floor_hour(date)
    if size is WindowSize.DAY:
        start = start.replace(hour=0)
    return _window(Period(start, start + size.length), lines)


@dataclass(frozen=True, slots=True)
class WindowPair:
    """A window of an invoice, and the same window with the usage that came after the invoice was final."""

    billed: Window
    with_late: Window

    @property
    def period(self) -> Period:
        """The hour or the day."""
        return self.billed.period

    @property
    def late_amount(self) -> Decimal:
        """What usage that came too late would add; below zero for usage that was taken back."""
        with exact():
            return self.with_late.total - self.billed.total


def paired(
    billed: Sequence[Window], with_late: Sequence[Window], periods: Iterable[Period] = ()
) -> tuple[WindowPair, ...]:
    """Windows side by side, in order of time; either side may lack some. `periods` are windows that are there anyway."""
    ours, theirs = ({one.period: one for one in windows} for windows in (billed, with_late))
    every = sorted({*ours, *theirs, *periods}, key=lambda period: period.starting_at)
    return tuple(WindowPair(ours.get(one) or _window(one, ()), theirs.get(one) or _window(one, ())) for one in every)


def window_periods(period: Period, size: WindowSize) -> tuple[Period, ...]:
    """Every window of a statement, in order, with anything in it or not."""
    bounds = window_bounds(period, size)
    return tuple(Period(start, end) for start, end in zip(bounds, (*bounds[1:], period.ending_before), strict=True))


def without_zeros(window: Window) -> Window:
    """The window without lines of no quantity, such as fees for no seats."""
    lines = tuple(line for line in window.lines if line.quantity is None or line.quantity)
    return window if len(lines) == len(window.lines) else _window(window.period, lines)


def _window(period: Period, lines: Sequence[Line]) -> Window:
    with exact():
        return Window(period, tuple(lines), sum((line.amount for line in lines if line.in_total), ZERO))
