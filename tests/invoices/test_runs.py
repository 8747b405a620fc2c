"""The record of a billing run: true while it runs, after a kill, when contracts fail, and when several work on it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from app.invoices import dry_run, run, runs
from app.invoices.runs import RunStatus
from app.invoices.tables import BillingRun
from app.store.engine import Store
from benchmarks.book import card_of, many_contracts
from tests.delivery.world import ACTOR, HOUR, NOVEMBER, World

NAMES = [f"customer{number}" for number in range(5)]


async def due(world: World, names: list[str] = NAMES) -> None:
    for name in names:
        await world.account("stripe", name=name, price="0.5", settings={"stripeCustomerId": f"cus_{name}"})
        await world.use(3, at=NOVEMBER - HOUR, customer=name)


async def asked(world: World) -> list[BillingRun]:
    async with world.store.transaction() as session:
        return await runs.ask_for_runs(session, actor=ACTOR, as_of=world.now, now=world.now)


async def progress(world: World, run_id: UUID) -> runs.Progress:
    async with world.store.transaction() as session:
        record = await session.get_one(BillingRun, run_id)
        return (await runs.progress_of(session, [record]))[run_id]


async def rows_of(store: Store) -> dict[str, int]:
    """How many rows every table has."""
    async with store.transaction() as session:
        tables = await session.execute(text("select tablename from pg_tables where schemaname = 'public'"))
        return {
            name: (await session.execute(text(f'select count(*) from "{name}"'))).scalar_one()
            for name in sorted(tables.scalars())
        }


async def test_a_run_tells_how_far_it_is(world: World) -> None:
    await due(world)
    [record] = await asked(world)
    found = await progress(world, record.id)
    assert (found.status, found.total, found.done, found.invoices) == (RunStatus.QUEUED, 5, 0, 0)
    assert [item.id for item in await asked(world)] == [record.id], "who asks again joins it"

    async def stop() -> None:
        if (await progress(world, record.id)).done == 2:
            raise asyncio.CancelledError

    try:
        await run.work(world.store, record.id, actor=ACTOR, now=world.now, on_step=stop, at_once=1)
    except asyncio.CancelledError:
        found = await progress(world, record.id)
    assert (found.status, found.done, found.invoices, found.totals) == (RunStatus.RUNNING, 2, 2, {"USD": 3})
    assert (found.is_finished, found.failed, found.worked_at) == (False, 0, world.now)
    assert found.run.started_at == world.now

    report = await world.finalize()
    assert (report.runs, report.contracts, report.finalized, report.failed) == ([record.id], 5, 5, 0)
    assert report.totals == {"USD": Decimal("7.5")}
    found = await progress(world, record.id)
    assert (found.status, found.done, found.is_finished) == (RunStatus.SUCCEEDED, 5, True)
    assert (await world.finalize()).runs == [], "nothing is due, and no run says so"


async def test_contracts_of_one_customer_are_done_one_after_another(world: World) -> None:
    """What becomes final of one may decide what the next one says, so they are never in one transaction."""
    await due(world, NAMES[:3])
    async with world.store.transaction() as session:
        first = (
            await session.execute(text("select id from customers where name = :name"), {"name": NAMES[0]})
        ).scalar_one()
    for _ in range(2):
        await world.contract(first, None, price="0.25")
    [record] = await asked(world)
    done: list[int] = []

    async def look() -> None:
        done.append((await progress(world, record.id)).done)

    await run.work(world.store, record.id, actor=ACTOR, now=world.now, on_step=look)
    assert list(dict.fromkeys(done)) == [3, 4, 5]


async def test_an_earlier_question_joins_no_later_run(world: World) -> None:
    await due(world)
    [record] = await asked(world)
    report = await run.run_due(world.store, actor=ACTOR, as_of=NOVEMBER + 12 * HOUR, now=world.now)
    assert report.runs == []
    assert (await progress(world, record.id)).done == 0


async def test_a_contract_that_fails_says_why_and_is_tried_again(world: World) -> None:
    await due(world, NAMES[1:])
    broken = await world.account("stripe", name=NAMES[0], settings={"stripeCustomerId": "cus_0"})
    async with world.store.transaction() as session:
        await session.execute(text("update contracts set currency = 'XXX' where id = :id"), {"id": broken.id})
    report = await world.finalize()
    assert (report.finalized, report.failed, len(report.failures)) == (4, 1, 1)
    found = await progress(world, report.runs[0])
    assert (found.status, found.done, found.failed) == (RunStatus.FAILED, 5, 1)
    async with world.store.transaction() as session:
        [failure] = await runs.failures_of(session, report.runs[0], limit=9)
        assert failure.failure_code == "INTERNAL"
        await session.execute(text("update contracts set currency = 'USD'"))
    again = await world.finalize()
    assert again.runs != report.runs
    assert (again.contracts, again.finalized, again.failed) == (1, 1, 0)


async def test_one_among_many_that_fails_is_found_in_few_steps(world: World) -> None:
    """Forty together, twenty, each of those alone, and the other twenty together."""
    card_id = await card_of(world.store, products=1)
    contract_ids = await many_contracts(world.store, card_id, contracts=40, products=1)
    async with world.store.transaction() as session:
        await session.execute(text("update contracts set currency = 'XXX' where id = :id"), {"id": min(contract_ids)})
    [record] = await asked(world)
    steps = 0

    async def count() -> None:
        nonlocal steps
        steps += 1

    await run.work(world.store, record.id, actor=ACTOR, now=world.now, on_step=count)
    found = await progress(world, record.id)
    assert (found.invoices, found.failed) == (39, 1)
    assert steps == 1 + 1 + 20 + 1 + 2, "and twice nothing is left"


async def test_a_lock_that_was_waited_for_too_long_is_waited_for_again(world: World) -> None:
    await due(world, NAMES[:1])
    impatient = await Store(world.store.url, max_connections=3, wait_seconds=0.3).open()
    [record] = await asked(world)
    async with world.store.transaction() as session:
        await session.execute(text("update counters set next = next where name = 'invoice'"))
        work = asyncio.create_task(run.work(impatient, record.id, actor=ACTOR, now=world.now))
        await asyncio.sleep(0.5)
    await work
    await impatient.close()
    found = await progress(world, record.id)
    assert (found.status, found.failed, found.invoices) == (RunStatus.SUCCEEDED, 0, 1)


async def test_a_rehearsal_makes_what_a_run_makes_and_stores_nothing(world: World) -> None:
    await due(world)
    before = await rows_of(world.store)
    found = await dry_run.rehearse(world.store, as_of=world.now, now=world.now)
    assert await rows_of(world.store) == before
    assert (found.totals, found.failures, len(found.contracts)) == ({"USD": Decimal("7.5")}, [], 5)
    report = await world.finalize()
    assert report.totals == found.totals
    made = {invoice.id: (invoice.total, invoice.content_hash) for invoice in await world.invoices()}
    assert {invoice.id: (invoice.total, invoice.content_hash) for invoice in found.invoices} == made
    later = await dry_run.rehearse(world.store, as_of=world.now, now=world.now + timedelta(hours=1))
    assert (later.invoices, later.contracts) == ([], [])
