"""An account is called no faster, and by no more at once, than it takes, however many processes there are."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from sqlalchemy import text

from app.delivery.pace import SharedPace, share_paces
from app.delivery.turns import lane_of
from app.store.engine import Store
from app.worker import open_deliveries
from tests.delivery.test_jobs import count, runtime_of
from tests.delivery.test_together import others
from tests.delivery.world import HOUR, NOVEMBER, World


async def test_processes_share_the_turns_of_an_account(world: World) -> None:
    async with others(world, 2) as worlds:
        paces = [SharedPace(one.store, "stripe-sandbox", 50) for one in worlds]
        elsewhere = SharedPace(worlds[0].store, "another", 50)
        started = time.monotonic()
        await asyncio.gather(*(pace.turn() for pace in paces for _ in range(10)))
        assert time.monotonic() - started >= 19 / 50
        started = time.monotonic()
        await elsewhere.turn()
        assert time.monotonic() - started < 19 / 50, "other accounts have turns of their own"


async def test_without_the_database_a_process_paces_itself(world: World) -> None:
    gone = await Store(world.store.url, max_connections=1, wait_seconds=0.1).open()
    pace = SharedPace(gone, "stripe-sandbox", 50)
    await gone.close()
    started = time.monotonic()
    await asyncio.gather(*(pace.turn() for _ in range(6)))
    assert time.monotonic() - started >= 5 / 50


async def test_calls_of_a_deployment_take_shared_turns(world: World) -> None:
    share_paces(world.store, world.connections)
    await world.account("stripe")
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    assert len(world.sandbox.effects("stripe")) == 1
    async with world.store.transaction() as session:
        assert list(await session.scalars(text("select connection from connection_paces"))) == ["stripe-sandbox"]


async def test_documents_of_an_account_go_in_as_many_lanes_as_it_takes(world: World) -> None:
    for number in range(8):
        await world.account("stripe", name=f"c{number}", settings={"stripeCustomerId": f"cus_{number}"})
        await world.use(10, at=NOVEMBER - HOUR, customer=f"c{number}")
    await world.finalize()
    await open_deliveries(runtime_of(world))
    async with world.store.transaction() as session:
        found = await session.execute(text("select lock from procrastinate_jobs where task_name = 'delivery.deliver'"))
        locks = Counter(found.scalars())
    assert await count(world, "select count(*) from deliveries") == sum(locks.values()) == 8
    assert set(locks) <= {f"lane:stripe-sandbox:{number}" for number in range(3)}
    assert len(locks) > 1
    lanes = {lane_of(f"turn {number}", world.connections, "stripe-sandbox") for number in range(50)}
    assert len(lanes) == 3
    assert lane_of("any", world.connections, "gone") == "lane:gone:0"
