"""The billing run: takes one contract after another of a run's record, and finalizes what is due of each.

Owns the work and what becomes of a failure. One contract is one transaction, which also notes it as done; so a kill loses
nothing, the next worker goes on where this one stopped, and any number of them share a run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import structlog

from app.access import audit
from app.actor import Actor
from app.change import Change
from app.errors import BillingError, Unavailable
from app.invoices import next_due, runs
from app.invoices.run_reports import RunReport, report_of
from app.invoices.service import finalize_due, finalized_summary
from app.invoices.tables import BillingRun, BillingRunInvoice
from app.store.engine import Store

log = structlog.get_logger("metrograph.invoices")

TRIES = 3
"""How often a contract is taken up whose transaction the database gave up (a lock that was waited for too long)."""
WAIT_SECONDS = 0.2
"""How long is waited for contracts that other workers are at, before looking again."""
INTERNAL = "INTERNAL"
"""Code of a failure that is our own mistake."""
OnStep = Callable[[], Awaitable[None]]


async def run_due(
    store: Store,
    *,
    actor: Actor,
    as_of: datetime,
    now: datetime,
    on_start: Callable[[list[UUID]], OnStep] | None = None,
) -> RunReport:
    """Finalize everything that is due by `as_of`, together with others who are at it, and report what came of it all.

    `on_start` is told the runs, and gives what is called after each step. A contract that fails is reported and does
    not stop the others.
    """
    await next_due.look_ahead(store, now=as_of)
    async with store.transaction() as session:
        found = await runs.ask_for_runs(session, actor=actor, as_of=as_of, now=now)
    ids = [run.id for run in found]
    on_step = None if on_start is None else on_start(ids)
    for run_id in ids:
        await work(store, run_id, actor=actor, now=now, is_waiting=True, on_step=on_step)
    return await report_of(store, ids)


async def work(
    store: Store, run_id: UUID, *, actor: Actor, now: datetime, is_waiting: bool = False, on_step: OnStep | None = None
) -> None:
    """Take one open contract of a run after another, until there is none that nobody else is at.

    With `is_waiting` until there is none at all, so that the run is finished when this returns.
    """
    async with store.transaction() as session:
        run = await runs.note_start(session, run_id, now=now)
    tries: Counter[int] = Counter()
    after = -1
    while True:
        position = await _next(store, run, actor=actor, after=after, now=now, tries=tries)
        if on_step is not None:
            await on_step()
        if position is not None:
            after = position
        elif after >= 0:
            after = -1  # Those before it that others gave up in between are looked for once more.
        else:
            async with store.transaction() as session:
                progress = (await runs.progress_of(session, [run]))[run.id]
            if progress.is_finished or not is_waiting:
                return
            await asyncio.sleep(WAIT_SECONDS)


async def _next(
    store: Store, run: BillingRun, *, actor: Actor, after: int, now: datetime, tries: Counter[int]
) -> int | None:
    """Finalize what is due of the next contract; returns its position, None when none is open behind `after`."""
    position, contract_id = -1, run.id
    try:
        async with store.transaction() as session:
            item = await runs.claim(session, run.id, after=after)
            if item is None:
                return None
            # A row that was rolled back could not be asked any more.
            position, contract_id = item.position, item.contract_id
            for made in await finalize_due(session, contract_id, as_of=min(run.as_of, now), now=now):
                change = Change("invoice", made.invoice.id, {"status": "DRAFT"}, finalized_summary(made.invoice))
                await audit.record(session, actor, action="invoice.finalize", now=now, code=None, change=change)
                session.add(BillingRunInvoice(invoice_id=made.invoice.id, run_id=run.id))
            item.done_at = now
        return position
    except BillingError as error:
        if position < 0:
            raise
        tries[position] += 1
        if isinstance(error, Unavailable) and tries[position] < TRIES:
            return after
        code, message = str(error.code), error.message
    except Exception as fault:
        if position < 0:
            raise
        # Our own mistake about one contract must not keep the others from being billed.
        log.exception("contract not finalized", contract=str(contract_id))
        code, message = INTERNAL, f"Something went wrong on our side ({type(fault).__name__})."
    async with store.transaction() as session:
        await runs.note_failure(session, run.id, position, code=code, message=message, now=now)
    return position
