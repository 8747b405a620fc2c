"""The period of `metrograph reconcile`, as people write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from app.commands.reconciling import period_of
from app.commands.shell import Exit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (None, "2026-10-22T12:00", "2026-11-22T12:00"),
        ("2026-10", "2026-10-01T00:00", "2026-11-01T00:00"),
        ("2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2028-02", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("2026-10-31", "2026-10-31T00:00", "2026-11-01T00:00"),
        ("2026-10-01..2026-10-15", "2026-10-01T00:00", "2026-10-15T00:00"),
        ("2026-10-01T06:00:00Z..2026-10-01T07:00:00Z", "2026-10-01T06:00", "2026-10-01T07:00"),
    ],
)
def test_periods(text: str | None, start: str, end: str) -> None:
    found = period_of(text, now=NOW)
    assert found.ending_before is not None
    assert [f"{instant:%Y-%m-%dT%H:%M}" for instant in (found.starting_at, found.ending_before)] == [start, end]


@pytest.mark.parametrize("text", ["2026-13", "yesterday", "", "2026-11-02..2026-11-01", "2020-01-01..2026-11-01"])
def test_what_is_no_period_is_wrong_use(text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        period_of(text, now=NOW)
    assert ended.value.exit_code == Exit.USAGE
