"""`metrograph invoices finalize`: the billing run, by hand or by a schedule of the machine's own.

Owns how it is shown. Any number of these may run at once and share the work; after a kill the next one goes on.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rich.progress import Progress as Bar

from app.actor import system
from app.commands.shell import NOTES, Exit, emit, fail, note, progress, say
from app.core.money import canonical
from app.invoices import run, runs
from app.invoices.dry_run import rehearse
from app.invoices.tables import BillingRun, Invoice
from app.runtime import Runtime
from app.store.engine import Store
from app.store.ids import to_text

ACTOR = system("metrograph invoices", kind="command")
LOOK_SECONDS = 0.5
"""How often the record is looked at for the bar; others may work on the same run."""
LINE_SECONDS = 10.0
"""How often a line is written where stderr is no terminal."""


async def finalize(runtime: Runtime, *, as_of: datetime | None, dry_run: bool, as_json: bool) -> Exit | None:
    """Finalize everything that is due, or with `dry_run` show what that would make."""
    now = runtime.clock.now()
    if as_of is not None and as_of > now:
        fail(f"--as-of lies after now, {now:%Y-%m-%dT%H:%M:%SZ}; nothing is due then yet.", Exit.USAGE)
    if dry_run:
        return await _rehearse(runtime, as_of=as_of or now, now=now, as_json=as_json)
    with progress() as bar:
        watch = _Watch(runtime.store, bar)
        report = await run.run_due(runtime.store, actor=ACTOR, as_of=as_of or now, now=now, on_start=watch.start)
        await watch.show()
    for contract_id, reason in report.failures:
        note(f"{to_text('contract', contract_id)}: {reason}")
    if as_json:
        jobs = [to_text("job", run_id) for run_id in report.runs]
        emit(
            {
                "finalized": report.finalized,
                "totals": _texts(report.totals),
                "failures": report.failed,
                "jobs": jobs,
            }
        )
    else:
        say(f"{report.finalized} finalized " + _listed(report.totals))
    return Exit.DONE_WITH_FAILURES if report.failed else None


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


async def _rehearse(runtime: Runtime, *, as_of: datetime, now: datetime, as_json: bool) -> Exit | None:
    with progress() as bar:
        task = bar.add_task("dry run", total=None, rate="")
        found = await rehearse(
            runtime.store, as_of=as_of, now=now,
            on_customer=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    for contract_id, reason in found.failures:
        note(f"{to_text('contract', contract_id)}: {reason}")
    if as_json:
        emit(
            {
                "dueContracts": [to_text("contract", item) for item in found.contracts],
                "invoices": [_shown(invoice) for invoice in found.invoices],
                "totals": _texts(found.totals),
                "failures": len(found.failures),
            }
        )
    else:
        for invoice in found.invoices:
            row = _shown(invoice)
            end = "" if row["endingBefore"] is None else f"…{row['endingBefore'][:10]}"
            say(
                f"{row['invoice']}  {row['type']:9}  {row['startingAt'][:10]}{end:11}  {row['total']} {row['currency']}"
            )
        say(f"{len(found.invoices)} would be final " + _listed(found.totals))
    return Exit.DONE_WITH_FAILURES if found.failures else None


def _shown(invoice: Invoice) -> dict[str, Any]:
    end = invoice.ending_before
    return {
        "invoice": to_text("invoice", invoice.id),
        "contract": to_text("contract", invoice.contract_id),
        "customer": to_text("customer", invoice.customer_id),
        "type": str(invoice.type),
        "startingAt": invoice.starting_at.isoformat(),
        "endingBefore": None if end is None else end.isoformat(),
        "issuedAt": invoice.issued_at.isoformat(),
        "total": canonical(invoice.total),
        "currency": invoice.currency,
    }


def _texts(totals: dict[str, Decimal]) -> dict[str, str]:
    return {currency: canonical(total) for currency, total in sorted(totals.items())}


def _listed(totals: dict[str, Decimal]) -> str:
    return ", ".join(f"{total} {currency}" for currency, total in _texts(totals).items())
