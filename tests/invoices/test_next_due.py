"""The narrow search for due contracts finds what the full one does, whatever happened before, and opens few."""

from __future__ import annotations

import os
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text

from app.commands.checking import overlooked
from app.invoices import due, next_due
from app.store.engine import Store
from tests.invoices.changes import DAY, HOUR, Seller

STORIES, STEPS = (20, 60) if os.environ.get("METROGRAPH_STRESS") else (1, 30)


async def searched(seller: Seller) -> None:
    """At any instant, past and to come, both searches agree, before and after the bounds are worked out."""
    for days in (-30, 0, seller.random.uniform(0, 3), seller.random.uniform(3, 50)):
        as_of = seller.now + days * DAY
        async with seller.store.transaction() as session:
            narrow, full = (
                await due.due_contracts(session, as_of=as_of),
                await due.due_among(session, None, as_of=as_of),
            )
        assert narrow == full, (days, seller.done)


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(STORIES))
async def test_the_narrow_search_is_the_full_one(store: Store, seed: int) -> None:
    seller = await Seller(store, Random(seed)).open()
    await seller.agree()
    for step in range(STEPS):
        kind = seller.random.random()
        if kind < 0.2:
            await seller.agree()
        elif kind < 0.7:
            await seller.change()
        elif kind < 0.8:
            seller.now += seller.random.randint(1, 20 * 24) * HOUR
        elif kind < 0.9:
            await seller.bill()
        else:
            await next_due.look_ahead(store, now=seller.now)
        if step % 3 == 0:
            await searched(seller)
    await seller.bill()
    await next_due.look_ahead(store, now=seller.now)
    await searched(seller)
    async with store.transaction() as session:
        assert await overlooked(session, now=seller.now + timedelta(days=20)) == []
    assert len(seller.done) > STEPS // 6, seller.done


async def test_what_is_not_due_is_not_looked_at(store: Store) -> None:
    seller = await Seller(store, Random(1)).open()
    for _ in range(6):
        await seller.agree()
    seller.now += 40 * DAY
    await seller.bill()
    await next_due.look_ahead(store, now=seller.now)
    async with store.transaction() as session:
        bounds = await session.execute(text("select next_due_at from due_customers"))
        earliest = min(bounds.scalars())
        assert earliest > seller.now, "what was due is final"
        assert await next_due.customers_to_look_at(session, as_of=earliest - HOUR) == set()
        assert await next_due.customers_to_look_at(session, as_of=earliest)
        full = await due.due_among(session, None, as_of=earliest - HOUR)
    assert full == []


async def test_check_tells_of_a_bound_that_is_too_late(store: Store) -> None:
    seller = await Seller(store, Random(1)).open()
    await seller.agree()
    await next_due.look_ahead(store, now=seller.now)
    later = seller.now + 200 * DAY
    async with store.transaction() as session:
        due_then = await due.due_among(session, None, as_of=later)
        assert due_then != []
        assert await overlooked(session, now=later) == []
        await session.execute(text("update due_customers set next_due_at = :late"), {"late": later + DAY})
        assert len(await overlooked(session, now=later)) == len(due_then)
        await session.rollback()


async def test_another_release_may_see_it_otherwise(store: Store) -> None:
    seller = await Seller(store, Random(1)).open()
    await seller.agree()
    await next_due.look_ahead(store, now=seller.now)
    async with store.transaction() as session:
        assert await next_due.customers_to_look_at(session, as_of=seller.now - 300 * DAY) == set()
        await session.execute(text("update due_customers set release = '0.0.1'"))
        assert await next_due.customers_to_look_at(session, as_of=seller.now - 300 * DAY) == set(seller.customers)
