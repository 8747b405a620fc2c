"""The only module that reads the time.

A request, a job or a command asks once and passes `now` on; services and core take it as an argument. In a sandbox
`METROGRAPH_CLOCK` fixes the instant, or names a file that holds one and is read at every use, so that demo and tests
live on a day of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


class Clock:
    """Tells the current instant, aware and in UTC. `source` is None (real time), an RFC 3339 instant or a file."""

    def __init__(self, source: str | None = None) -> None:
        self._fixed: datetime | None = None
        self._file: Path | None = None
        if source:
            try:
                self._fixed = parse_instant(source)
            except ValueError:
                self._file = Path(source)

    def now(self) -> datetime:
        """The instant that counts as now."""
        if self._file is not None:
            return parse_instant(self._file.read_text(encoding="utf-8").strip())
        return self._fixed or datetime.now(UTC)

    @property
    def is_real(self) -> bool:
        """True when the wall clock is used."""
        return self._fixed is None and self._file is None


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant with a zone, as an aware UTC datetime. ValueError for anything else."""
    if not (20 <= len(text) <= 40) or text[10] not in "Tt ":
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 instant such as 2026-11-01T00:00:00Z")
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text[:40]!r} has no time zone; write 2026-11-01T00:00:00Z")
    return instant.astimezone(UTC)
