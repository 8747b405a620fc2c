"""Dates that are told from a start: so many days, weeks, months or years after it.

Owns their arithmetic. Months and years are counted from the start in one step, so that stretches which follow each other
meet, also where a month is too short for the start's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.core.period import Frequency, step


class SpanUnit(StrEnum):
    """In what a stretch of time is counted."""

    DAYS = "DAYS"
    WEEKS = "WEEKS"
    MONTHS = "MONTHS"
    YEARS = "YEARS"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of calendar time."""

    value: int
    unit: SpanUnit


_MONTHS = {SpanUnit.MONTHS: 1, SpanUnit.YEARS: 12}
_DAYS = {SpanUnit.DAYS: 1, SpanUnit.WEEKS: 7}


def after(start: datetime, *spans: Span) -> datetime:
    """The instant that lies all these spans after a start: months and years first, together, then weeks and days.

    A start on the 31st with spans of one month and one month leads to the 31st where the second month has one.
    """
    months = sum(span.value * _MONTHS.get(span.unit, 0) for span in spans)
    days = sum(span.value * _DAYS.get(span.unit, 0) for span in spans)
    return step(start, Frequency.MONTHLY, months) + timedelta(days=days)
