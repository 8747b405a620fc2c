"""Several workers and several finalizers at once: one invoice, one delivery, numbers without gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlmodel import select

from app.contracts.tables import Contract
from app.delivery import sync
from app.delivery.service import open_deliveries
from app.delivery.states import DeliveryStatus
from app.invoices.open import open_statements
from app.invoices.run_reports import RunReport
from app.invoices.service import finalize_due, finalize_invoice
from app.store.engine import Store
from tests.delivery.world import HOUR, NOVEMBER, PROVIDERS, World

TOGETHER = 4


@asynccontextmanager
async def others(world: World, count: int = TOGETHER) -> AsyncIterator[list[World]]:
    """The same deployment, seen by several processes: each with a pool and connectors of its own."""
    async with AsyncExitStack() as stack:
        made: list[World] = []
        for _ in range(count):
            store = await Store(world.store.url, max_connections=6).open()
            stack.push_async_callback(store.close)
            connections = world.sandbox.connections()
            stack.push_async_callback(connections.close)
            made.append(World(store, connections, world.sandbox, world.product))
        yield made


async def at_once(worlds: list[World], work: Callable[[World], Awaitable[Any]]) -> list[Any]:
    """Everybody waits for everybody, and then does it."""
    barrier = asyncio.Barrier(len(worlds))

    async def one(world: World) -> Any:
        await barrier.wait()
        return await work(world)

    return await asyncio.gather(*(one(world) for world in worlds))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_workers_at_once_deliver_once(world: World, provider: str) -> None:
    for name in ("acme", "birch", "cedar"):
        settings = {"stripeCustomerId": f"cus_{name}"} if provider == "stripe" else {}
        await world.account(provider, name=name, settings=settings)
        await world.use(1000, at=NOVEMBER - HOUR, customer=name)
        if provider != "stripe":
            break
    await world.finalize()
    async with others(world) as worlds:
        await at_once(worlds, World.sweep)
        # A worker that found the account in use leaves it to the one who has it; nobody waits.
        await worlds[0].sweep()
        calls = world.sandbox.calls()
        await at_once(worlds, World.sweep)
        assert world.sandbox.calls() == calls
    deliveries = await world.deliveries()
    assert {item.status for item in deliveries} == {DeliveryStatus.DELIVERED}
    assert len(world.sandbox.effects(provider)) == len(deliveries)
    if provider != "stripe":
        assert world.sandbox.metered(provider) == 1000


async def test_finalizers_at_once_make_one_invoice_each_with_consecutive_numbers(world: World) -> None:
    customers = [f"customer{number}" for number in range(6)]
    for name in customers:
        await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"})
        await world.use(10, at=NOVEMBER - HOUR, customer=name)
    async with others(world) as worlds:
        reports: list[RunReport] = await at_once(worlds, World.finalize)
    assert all(report.failures == [] for report in reports)
    assert max(report.finalized for report in reports) == len(customers)
    assert len({run for report in reports for run in report.runs}) == 1, "they share one run"
    invoices = await world.invoices()
    assert [invoice.number for invoice in invoices] == list(range(1, len(customers) + 1))
    assert len({invoice.contract_id for invoice in invoices}) == len(customers)


async def test_one_draft_finalized_by_many_is_one_invoice(world: World) -> None:
    await world.account("stripe")
    await world.use(10, at=NOVEMBER - HOUR)
    async with world.store.transaction() as session:
        contracts = list((await session.execute(select(Contract))).scalars())
        [october, _november] = await open_statements(session, contracts, now=world.now)

    async def finalize(one: World) -> bool:
        async with one.store.transaction() as session:
            return (await finalize_invoice(session, october.id, now=one.now)).is_new

    async with others(world) as worlds:
        assert sorted(await at_once(worlds, finalize)) == [False, False, False, True]
    [invoice] = await world.invoices()
    assert (invoice.id, invoice.number) == (october.id, 1)


async def test_a_rolled_back_finalization_leaves_no_gap(world: World) -> None:
    contracts = []
    for name in ("acme", "birch"):
        contracts.append(await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"}))
        await world.use(10, at=NOVEMBER - HOUR, customer=name)
    taken = asyncio.Event()

    async def fails() -> None:
        async with world.store.transaction() as session:
            [made] = await finalize_due(session, [contracts[0].id], as_of=world.now, now=world.now)
            assert made.number == 1
            taken.set()
            await asyncio.sleep(0.2)
            raise RuntimeError("after the number was taken")

    async def waits() -> int:
        await taken.wait()
        async with world.store.transaction() as session:
            [made] = await finalize_due(session, [contracts[1].id], as_of=world.now, now=world.now)
        return made.number

    failed, number = await asyncio.gather(fails(), waits(), return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    assert number == 1
    await world.finalize()
    assert [(invoice.number, invoice.contract_id) for invoice in await world.invoices()] == [
        (1, contracts[1].id),
        (2, contracts[0].id),
    ]


async def test_deliveries_are_opened_once_by_many(world: World) -> None:
    await world.account("stripe")
    await world.use(10, at=NOVEMBER - HOUR)
    await world.finalize()

    async def opens(one: World) -> int:
        async with one.store.transaction() as session:
            return len(await open_deliveries(session, one.connections, now=one.now))

    async with others(world, 8) as worlds:
        assert sum(await at_once(worlds, opens)) == 1
    assert len(await world.deliveries()) == 1


async def test_a_sweep_and_a_finalizer_at_once(world: World) -> None:
    """Metering plans slots from drafts while the billing run turns them into invoices; the sum stays what is owed."""
    await world.account("aws_marketplace", price="0.0133")
    await world.use(1001, at=NOVEMBER - HOUR)
    async with others(world, 2) as worlds:
        barrier = asyncio.Barrier(2)

        async def sweeps() -> None:
            await barrier.wait()
            await sync.sweep(sync.Target(worlds[0].store, worlds[0].connections, world.sandbox.now), at_once=True)

        async def finalizes() -> None:
            await barrier.wait()
            await worlds[1].finalize()

        await asyncio.gather(sweeps(), finalizes())
    await world.sweep()
    world.sandbox.move(hours=1)
    await world.sweep()
    [invoice] = await world.invoices()
    assert world.sandbox.metered("aws_marketplace") == invoice.total * 100 == 1331
