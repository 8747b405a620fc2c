"""Processes that share a billing run: what they make is what one makes, and none of them is needed or left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from app.commands import run_processes
from app.commands.run_processes import RunProcesses
from app.invoices.run import Share, run_due, work_on
from app.invoices.runs import ask_for_runs
from app.store.engine import Store
from benchmarks.book import ACTOR, NOW, card_of, many_contracts

CONTRACTS = 40


@pytest.fixture
async def others(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunProcesses]:
    """Another process, worth its start for any run."""
    monkeypatch.setattr(run_processes, "CONTRACTS_EACH", 1)
    found = RunProcesses(store.url, at_most=1)
    yield found
    await found.aclose()


async def contracts(store: Store) -> list[UUID]:
    return await many_contracts(store, await card_of(store, products=2), contracts=CONTRACTS, products=2)


async def numbers(store: Store) -> list[int]:
    async with store.transaction() as session:
        return list((await session.execute(text("select number from invoices order by number"))).scalars())


async def the_run(store: Store) -> Share:
    async with store.transaction() as session:
        [run] = await ask_for_runs(session, actor=ACTOR, as_of=NOW, now=NOW)
    return Share(run.id, ACTOR, NOW, at_once=1)


def the_process(others: RunProcesses) -> asyncio.subprocess.Process:
    [process] = others._started
    return process


@pytest.mark.parametrize(
    ("contracts", "processes"), [(0, 0), (499, 0), (500, 1), (1_499, 2), (2_000, 3), (1_000_000, 3)]
)
def test_a_run_is_shared_by_as_many_as_its_size_is_worth(contracts: int, processes: int) -> None:
    assert RunProcesses("postgresql://", at_most=3).worth(contracts) == processes


async def test_one_does_by_itself_what_it_is_told(store: Store, others: RunProcesses) -> None:
    made = await contracts(store)
    await others.work_on(await the_run(store), processes=1)
    async with store.transaction() as session:
        found = list((await session.execute(text("select contract_id from invoices"))).scalars())
        told = await session.execute(text("select count(*) from notices where type = 'invoice.finalized'"))
    assert sorted(found) == sorted(made)
    assert await numbers(store) == list(range(1, CONTRACTS + 1))
    assert told.scalar_one() == CONTRACTS, "endpoints hear of what any process does"


async def test_both_at_once_make_each_invoice_once(store: Store, others: RunProcesses) -> None:
    await contracts(store)
    report = await run_due(store, actor=ACTOR, as_of=NOW, now=NOW, others=others)
    assert (report.finalized, report.failed) == (CONTRACTS, 0)
    assert await numbers(store) == list(range(1, CONTRACTS + 1))
    assert (await run_due(store, actor=ACTOR, as_of=NOW, now=NOW, others=others)).finalized == 0


async def test_one_that_is_killed_is_not_missed(store: Store, others: RunProcesses) -> None:
    await contracts(store)
    await others.start(1)
    the_process(others).send_signal(signal.SIGSTOP)
    share = await the_run(store)
    beside = asyncio.ensure_future(others.work_on(share, processes=1))
    await asyncio.sleep(0)
    the_process(others).kill()
    await work_on(store, share)
    await asyncio.wait_for(beside, 10)
    assert await numbers(store) == list(range(1, CONTRACTS + 1))


async def test_one_that_cannot_be_started_is_not_missed(
    store: Store, others: RunProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_processes.sys, "executable", "/nowhere/python")
    await contracts(store)
    assert (await run_due(store, actor=ACTOR, as_of=NOW, now=NOW, others=others)).finalized == CONTRACTS


async def test_it_ends_in_the_middle_of_a_run_when_nobody_is_there_any_more(store: Store, others: RunProcesses) -> None:
    """What it had under way is open again at once, and nothing of it is kept."""
    await contracts(store)
    await others.start(1)
    process = the_process(others)
    share = await the_run(store)
    async with store.transaction() as session:
        # Its first transaction waits for the counter of numbers, so that it is in the middle of it.
        await session.execute(text("select next from counters where name = 'invoice' for update"))
        beside = asyncio.ensure_future(others.work_on(share, processes=1))
        await until_somebody_waits(store)
        assert process.stdin is not None
        process.stdin.close()  # As the end of the process that started it does.
        assert await asyncio.wait_for(process.wait(), 10) == 0
    await asyncio.wait_for(beside, 10)
    assert await numbers(store) == []
    await work_on(store, share)
    assert await numbers(store) == list(range(1, CONTRACTS + 1))


async def until_somebody_waits(store: Store) -> None:
    for _ in range(200):
        async with store.transaction() as session:
            waiting = await session.execute(text("select count(*) from pg_locks where not granted"))
            if waiting.scalar_one():
                return
        await asyncio.sleep(0.05)
    pytest.fail("nobody came to wait for the number")


async def test_it_ends_with_the_process_that_started_it(store: Store) -> None:
    """Also when that one is killed and can end nothing itself."""
    script = (
        "import asyncio, os, sys\n"
        "from app.commands.run_processes import RunProcesses\n"
        "async def main():\n"
        f"    others = RunProcesses({store.url!r}, at_most=1)\n"
        "    await others.start(1)\n"
        "    print(others._started[0].pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        run_processes.sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("it lives on without anybody to work for")
