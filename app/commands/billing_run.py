"""`metrograph invoices finalize`: the billing run, by hand or by a schedule of the machine's own.

Owns how it is shown. Any number of these may run at once and share the work; after a kill the next one goes on.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from rich.progress import Progress as Bar

from app.actor import system
from app.commands.run_processes import RunProcesses
from app.commands.shell import NOTES, Exit, emit, fail, note, progress, say
from app.core.money import canonical
from app.invoices import run, runs
from app.invoices.tables import BillingRun
from app.runtime import Runtime
from app.store.engine import Store
from app.store.ids import to_text

ACTOR = system("metrograph invoices", kind="command")
LOOK_SECONDS = 0.5
"""How often the record is looked at for the bar; others may work on the same run."""
LINE_SECONDS = 10.0
"""How often a line is written where stderr is no terminal."""


async def finalize(
    runtime: Runtime, *, as_of: datetime | None, as_json: bool, workers: int | None = None
) -> Exit | None:
    """Finalize everything that is due; a large run is shared by so many processes, by default one for each core."""
    now = runtime.clock.now()
    as_of = until(as_of, now=now)
    async with RunProcesses.beside(runtime, workers=workers) as others:
        with progress() as bar:
            watch = _Watch(runtime.store, bar)
            report = await run.run_due(
                runtime.store, actor=ACTOR, as_of=as_of, now=now, on_start=watch.start, others=others
            )
            await watch.show()
    for contract_id, reason in report.failures:
        note(f"{to_text('contract', contract_id)}: {reason}")
    if as_json:
        jobs = [to_text("job", run_id) for run_id in report.runs]
        emit(
            {
                "finalized": report.finalized,
                "totals": texts(report.totals),
                "failures": report.failed,
                "jobs": jobs,
            }
        )
    else:
        say(f"{report.finalized} finalized " + listed(report.totals))
    return Exit.DONE_WITH_FAILURES if report.failed else None


def until(as_of: datetime | None, *, now: datetime) -> datetime:
    """The instant by which something is due; one that lies ahead is refused."""
    if as_of is not None and as_of > now:
        fail(f"--as-of lies after now, {now:%Y-%m-%dT%H:%M:%SZ}; nothing is due then yet.", Exit.USAGE)
    return as_of or now


class _Watch:
    """The bar of some runs, from their records."""

    def __init__(self, store: Store, bar: Bar) -> None:
        self._store, self._bar = store, bar
        self._runs: list[UUID] = []
        self._clock = asyncio.get_running_loop().time
        self._looked_at, self._written_at = float("-inf"), self._clock()

    def start(self, run_ids: list[UUID]) -> run.OnStep:
        """These are the runs; gives what is called after each step."""
        self._runs = run_ids
        if run_ids:
            self._task = self._bar.add_task("finalize", total=None, rate="")
        return self._step

    async def _step(self) -> None:
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            await self.show()

    async def show(self) -> None:
        """How far they are now; nothing when there are none."""
        if not self._runs:
            return
        async with self._store.transaction() as session:
            records = [await session.get_one(BillingRun, run_id) for run_id in self._runs]
            found = (await runs.progress_of(session, records)).values()
        done, total = sum(item.done for item in found), sum(item.total for item in found)
        rate = f"{sum(item.invoices for item in found)} final, {sum(item.failed for item in found)} failed"
        self._bar.update(self._task, completed=done, total=total, rate=rate)
        self._looked_at = self._clock()
        if not NOTES.is_terminal and self._looked_at - self._written_at >= LINE_SECONDS:
            note(f"finalize {done}/{total}: {rate}")
            self._written_at = self._looked_at


def texts(totals: dict[str, Decimal]) -> dict[str, str]:
    """Totals by currency, in the order of their codes."""
    return {currency: canonical(total) for currency, total in sorted(totals.items())}


def listed(totals: dict[str, Decimal]) -> str:
    """The same on one line."""
    return ", ".join(f"{total} {currency}" for currency, total in texts(totals).items())
