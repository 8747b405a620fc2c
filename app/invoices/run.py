"""The billing run: takes contracts of a run's record, some at a time, and finalizes what is due of each.

Owns when a run begins and ends. The transaction that makes invoices also notes their contracts as done; so a kill loses
nothing, the next worker goes on where this one stopped, and any number of them share a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.actor import Actor
from app.invoices import next_due, runs
from app.invoices.run_reports import RunReport, report_of
from app.invoices.run_worker import FEW, Worker
from app.store.engine import Store

AT_ONCE = 200
"""Contracts in one transaction: enough for what is read and written for all of them to cost each little.

Each holds a lock of the database, of which a server as it comes has some 6,400 for everybody.
"""
SIDE_BY_SIDE = 2
"""Workers of a run in a process alone: one computes while the other waits for the database.

Where processes share a run, each has one: one that computes would keep the other from going on with the counter of numbers
locked, for which all processes wait.
"""
WAIT_SECONDS = 0.2
"""How long is waited for contracts that other workers are at, before looking again."""
OnStep = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Share:
    """What a process does of a run: everything that nobody else is at, so many contracts in one transaction.

    `workers` of it work side by side.
    """

    run_id: UUID
    actor: Actor
    now: datetime
    at_once: int = AT_ONCE
    workers: int = 1


class Others(Protocol):
    """Processes that may work on a run beside this one."""

    def worth(self, contracts: int) -> int:
        """How many of them are worth their start for so many contracts."""
        ...

    async def work_on(self, share: Share, *, processes: int) -> None:
        """Have so many work on a run until none finds anything to do. It never fails: what they leave is open."""
        ...


async def run_due(
    store: Store,
    *,
    actor: Actor,
    as_of: datetime,
    now: datetime,
    on_start: Callable[[list[UUID]], OnStep] | None = None,
    others: Others | None = None,
) -> RunReport:
    """Finalize everything that is due by `as_of`, together with others who are at it, and report what came of it all.

    `on_start` is told the runs, and gives what is called after each step. A contract that fails is reported and does
    not stop the others.
    """
    async with store.transaction() as session:
        found = await runs.ask_for_runs(session, actor=actor, as_of=as_of, now=now)
        sizes = {item.run.id: item.total - item.done for item in (await runs.progress_of(session, found)).values()}
    await next_due.look_ahead(store, now=as_of, but_of=sizes)
    on_step = None if on_start is None else on_start(list(sizes))
    for run_id, contracts in sizes.items():
        processes = 0 if others is None else others.worth(contracts)
        workers = 1 if processes else SIDE_BY_SIDE
        share = Share(run_id, actor, now, _at_once(contracts, workers=(1 + processes) * workers), workers)
        beside = () if others is None else (others.work_on(share, processes=processes),)
        for ended in await asyncio.gather(work_on(store, share, on_step=on_step), *beside, return_exceptions=True):
            if ended is not None:
                raise ended
        await work(store, run_id, actor=actor, now=now, is_waiting=True, on_step=on_step)
    return await report_of(store, list(sizes))


def _at_once(contracts: int, *, workers: int) -> int:
    """Contracts in one transaction, so that so many workers have equally many to do."""
    rounds = -(-contracts // (AT_ONCE * workers))
    return max(FEW, -(-contracts // (max(rounds, 1) * workers)))


async def work_on(store: Store, share: Share, *, on_step: OnStep | None = None) -> None:
    """Do a process's share of a run."""
    workers = (
        work(store, share.run_id, actor=share.actor, now=share.now, on_step=on_step, at_once=share.at_once)
        for _ in range(share.workers)
    )
    for ended in await asyncio.gather(*workers, return_exceptions=True):
        if ended is not None:
            raise ended


async def work(
    store: Store,
    run_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    is_waiting: bool = False,
    on_step: OnStep | None = None,
    at_once: int = AT_ONCE,
) -> None:
    """Take open contracts of a run, `at_once` at a time, until there is none that nobody else is at.

    With `is_waiting` until there is none at all, so that the run is finished when this returns.
    """
    async with store.transaction() as session:
        run = await runs.note_start(session, run_id, now=now)
    worker = Worker(store, run, actor, now, at_once)
    while True:
        found = await worker.step()
        if on_step is not None:
            await on_step()
        if found:
            continue
        if worker.after >= 0:
            worker.after = -1  # Those before it that others gave up in between are looked for once more.
            continue
        async with store.transaction() as session:
            progress = (await runs.progress_of(session, [run]))[run.id]
        if progress.is_finished or not is_waiting:
            return
        await asyncio.sleep(WAIT_SECONDS)
