"""Dates told from a start, as a table; and stretches that follow each other, which meet."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.core.relative import Span, SpanUnit, after

DAYS, WEEKS, MONTHS, YEARS = SpanUnit


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "spans", "expected"),
    [
        ("2026-01-31", [], "2026-01-31"),
        ("2026-01-31", [Span(1, MONTHS)], "2026-02-28"),
        ("2026-01-31", [Span(1, MONTHS), Span(1, MONTHS)], "2026-03-31"),
        ("2024-02-29", [Span(1, YEARS)], "2025-02-28"),
        ("2024-02-29", [Span(1, YEARS), Span(36, MONTHS)], "2028-02-29"),
        ("2026-01-31", [Span(3, DAYS), Span(1, MONTHS)], "2026-03-03"),
        ("2026-12-30T07:00", [Span(2, WEEKS)], "2027-01-13T07:00"),
    ],
)
def test_dates_after_a_start(start: str, spans: list[Span], expected: str) -> None:
    assert after(on(start), *spans) == on(expected)


SPANS = some.builds(Span, some.integers(0, 500), some.sampled_from([MONTHS, YEARS]))


@given(some.dates(date(2000, 1, 1), date(2100, 1, 1)), SPANS, SPANS)
def test_stretches_that_follow_each_other_meet(start: date, first: Span, second: Span) -> None:
    """The end of the first is the start of the next one, in whichever unit each of them is told."""
    begin = datetime.combine(start, time(), UTC)
    months = sum(span.value * (12 if span.unit is YEARS else 1) for span in (first, second))
    assert after(begin, first, second) == after(begin, Span(months, MONTHS))
    assert begin <= after(begin, first) <= after(begin, first, second)
