"""The demo's months, lived day by day: usage in, hourly metering, invoices final after their grace, deliveries made.

Owns the walk of the demo's clock. Marketplaces take usage for a day only, so the past has to be lived through; the
stand-ins follow the same clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from app.access import audit
from app.core.period import floor_hour
from app.delivery import sync
from app.demo.founding import ACTOR, found
from app.demo.taken_back import TakenBack
from app.demo.usage import day_of_usage
from app.invoices import run
from app.runtime import Runtime
from app.usage.buckets import fold_all
from app.usage.service import ingest

DAY = timedelta(days=1)
GRACE = timedelta(hours=24)


@dataclass(slots=True)
class Usage:
    """What became of the demo's events."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0


def first_day(today: datetime) -> datetime:
    """The first of the month that makes sure of at least one final statement by now."""
    this_month = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last_month = (this_month - DAY).replace(day=1)
    return last_month if today >= this_month + GRACE else (last_month - DAY).replace(day=1)


def set_clock(file: Path, instant: datetime) -> None:
    """Turn the demo's clock, in one step for every reader."""
    part = file.with_suffix(".part")
    part.write_text(instant.isoformat(), encoding="utf-8")
    part.replace(file)


async def live(
    runtime: Runtime, *, clock_file: Path, today: datetime, scale: str, seed: int, on_day: Callable[[int, int], None]
) -> Usage:
    """Live from the first day to the last full hour of today; afterwards the clock stands there."""
    end = floor_hour(today)
    start = first_day(end)
    set_clock(clock_file, start)
    company = await found(runtime, starting_at=start, now=start)
    place = sync.Target(runtime.store, runtime.connections, runtime.clock.now)
    taken_back = TakenBack(runtime.store)
    usage, morning, number = Usage(), start, 0
    while morning < end:
        evening = min(morning + DAY, end)
        set_clock(clock_file, evening)
        batch = list(day_of_usage(company, starting_at=morning, ending_before=evening, scale=scale, seed=seed))
        for first in range(0, len(batch), 10_000):
            async with runtime.store.transaction() as session:
                stored = await ingest(session, batch[first : first + 10_000], actor=ACTOR, now=evening, source="demo")
            usage.accepted += stored.accepted
            usage.duplicates += stored.duplicates
            usage.conflicts += len(stored.conflicts)
        await taken_back.after_usage(batch, now=evening)
        report = await run.run_due(runtime.store, actor=ACTOR, as_of=evening, now=evening)
        if report.finalized:
            await taken_back.after_run(now=evening)
        await sync.sweep(place, at_once=True)
        number += 1
        on_day(number, (end - start).days + 1)
        morning = evening
    await fold_all(runtime.store)
    async with runtime.store.transaction() as session:
        await audit.seal(session, now=end)
    return usage
