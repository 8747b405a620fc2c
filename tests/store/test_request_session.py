"""The session of a request, whose fields are resolved at the same time: one that fails breaks off those beside it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.graphql.session import RequestSession
from app.store.engine import Store

SLOW = text("select pg_sleep(0.3)")


async def test_who_is_broken_off_leaves_the_session_to_the_others(store: Store) -> None:
    async with store.transaction(session_class=RequestSession) as session:
        before = (await session.execute(text("select pg_backend_pid()"))).scalar_one()
        asking = asyncio.create_task(session.execute(SLOW))
        waiting = asyncio.create_task(session.execute(SLOW))
        await asyncio.sleep(0.1)
        waiting.cancel()
        asking.cancel()
        ended = await asyncio.gather(asking, waiting, return_exceptions=True)
        assert [type(one) for one in ended] == [asyncio.CancelledError] * 2
        assert (await session.execute(text("select pg_backend_pid()"))).scalar_one() == before


async def test_who_is_broken_off_twice_waits_no_longer(store: Store) -> None:
    async with store.transaction() as session:
        await session.execute(text("select 1"))
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            async with store.transaction(session_class=RequestSession) as session:
                asking = asyncio.create_task(session.execute(text("select pg_sleep(30)")))
                for _ in range(2):
                    await asyncio.sleep(0.1)
                    asking.cancel()
                await asking
    async with store.transaction() as session:
        assert (await session.execute(text("select 1"))).scalar_one() == 1
