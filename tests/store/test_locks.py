"""Locks: one holder at a time, and a dead holder holds nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from app.errors import Unavailable
from app.store.engine import Store
from app.store.locks import hold, lock_customer, lock_named, share_named, try_lock_named

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import asyncio, sys
from app.store.engine import Store
from app.store.locks import hold

async def main():
    store = await Store(sys.argv[1], max_connections=2).open()
    async with hold(store, "delivery") as taken:
        sys.stdout.write(f"{taken}\\n")
        sys.stdout.flush()
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_customers_lock_excludes_until_the_transaction_ends(store: Store) -> None:
    customer, order = uuid4(), list[str]()
    first_has_it = asyncio.Event()

    async def first() -> None:
        async with store.transaction() as session:
            await lock_customer(session, customer)
            first_has_it.set()
            await asyncio.sleep(0.2)
            order.append("first")

    async def second() -> None:
        await first_has_it.wait()
        async with store.transaction() as session:
            await lock_customer(session, customer)
            order.append("second")

    await asyncio.gather(second(), first())
    assert order == ["first", "second"]


async def test_customers_do_not_wait_for_each_other(store: Store) -> None:
    async with store.transaction() as one, store.transaction() as two:
        await lock_customer(one, uuid4())
        await lock_customer(two, uuid4())


async def test_whoever_waits_too_long_hears_that_the_store_is_busy(database_url: str) -> None:
    store = await Store(database_url, max_connections=3, wait_seconds=0.3).open()
    try:
        customer = uuid4()
        async with store.transaction() as one:
            await lock_customer(one, customer)
            with pytest.raises(Unavailable, match="try again"):
                async with store.transaction() as two:
                    await lock_customer(two, customer)
    finally:
        await store.close()


async def test_a_pool_without_a_free_connection_says_so(database_url: str) -> None:
    store = await Store(database_url, max_connections=1, wait_seconds=0.3).open()
    try:
        async with store.transaction() as one:
            await lock_named(one, "numbers")
            with pytest.raises(Unavailable, match="connections are in use"):
                async with store.transaction() as two:
                    await lock_named(two, "other")
    finally:
        await store.close()


async def test_a_named_lock_is_shared_or_whole(store: Store) -> None:
    async with store.transaction() as one, store.transaction() as two, store.transaction() as three:
        await share_named(one, "metrics")
        await share_named(two, "metrics")
        assert not await try_lock_named(three, "metrics")
        assert await try_lock_named(three, "audit")
    async with store.transaction() as session:
        assert await try_lock_named(session, "metrics")


async def test_a_name_is_held_across_transactions_by_one(store: Store) -> None:
    async with hold(store, "delivery") as taken:
        assert taken
        async with hold(store, "delivery") as second, hold(store, "another") as other:
            assert not second
            assert other
        async with store.transaction() as session:
            await lock_named(session, "numbers")  # nobody's transaction is kept open meanwhile
    async with hold(store, "delivery") as again:
        assert again


async def test_a_failing_holder_lets_go(store: Store) -> None:
    with pytest.raises(RuntimeError, match="provider"):
        async with hold(store, "delivery"):
            raise RuntimeError("the provider call broke")
    async with hold(store, "delivery") as taken:
        assert taken


async def test_a_name_is_free_as_soon_as_its_holder_is_killed(store: Store, database_url: str) -> None:
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, database_url), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    async with hold(store, "delivery") as taken:
        assert not taken
    holder.kill()
    await holder.wait()
    async with asyncio.timeout(5):
        while True:
            async with hold(store, "delivery") as taken:
                if taken:
                    break
            await asyncio.sleep(0.02)


async def test_a_lost_connection_is_no_drivers_error(store: Store, database_url: str) -> None:
    with pytest.raises(Unavailable, match="nothing was changed"):
        async with store.transaction() as session:
            await lock_named(session, "numbers")
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            await lock_named(session, "other")
    async with store.transaction() as session:
        await lock_named(session, "numbers")


async def test_who_is_broken_off_leaves_no_connection_to_others(database_url: str) -> None:
    """Half an answer may still be on its way, and the next one would take it for its own."""
    store = await Store(database_url, max_connections=1).open()
    try:

        async def server() -> int:
            async with store.transaction() as session:
                return (await session.execute(text("select pg_backend_pid()"))).scalar_one()

        async def ask() -> None:
            async with store.transaction() as session:
                await session.execute(text("select pg_sleep(20)"))

        before = await server()
        assert await server() == before, "it is used again"
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await server() != before
    finally:
        await store.close()


async def test_a_lost_connection_leaves_its_place_to_another(database_url: str) -> None:
    store = await Store(database_url, max_connections=1, wait_seconds=3).open()
    try:
        for _ in range(3):
            with pytest.raises(Unavailable, match="nothing was changed"):
                async with store.transaction() as session:
                    await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        async with store.transaction() as session:
            assert (await session.execute(text("select 1"))).scalar_one() == 1
    finally:
        await store.close()
