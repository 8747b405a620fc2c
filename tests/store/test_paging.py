"""Keyset pages: whoever inserts in the meantime, no row is missed and none comes twice."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select

from app.customers.tables import Customer
from app.store.engine import Store
from app.store.paging import Page, keyset_page, total_count

SORT = [col(Customer.created_at), col(Customer.id)]


async def add(store: Store, *names: str, at: datetime) -> None:
    async with store.transaction() as session:
        session.add_all([Customer(name=name, created_at=at) for name in names])


async def page(
    store: Store, *, first: int, after: tuple[datetime, UUID] | None = None, descending: bool = False
) -> Page:
    async with store.transaction() as session:
        return await keyset_page(session, select(Customer), sort=SORT, first=first, after=after, descending=descending)


async def walk(store: Store, *, first: int, descending: bool = False) -> list[str]:
    """All names, page by page."""
    names: list[str] = []
    after: tuple[datetime, UUID] | None = None
    while True:
        found = await page(store, first=first, after=after, descending=descending)
        names += [row.name for row in found.rows]
        if not found.has_next:
            return names
        assert len(found.rows) == first
        after = (found.rows[-1].created_at, found.rows[-1].id)


@pytest.mark.parametrize("first", [1, 3, 7, 20, 21, 100])
async def test_pages_of_any_size_give_every_row_once(store: Store, now: datetime, first: int) -> None:
    """Twenty rows, four of one instant each: the id decides among equals."""
    for number in range(5):
        await add(store, *(f"{number}-{letter}" for letter in "abcd"), at=now + timedelta(hours=number))
    names = await walk(store, first=first)
    assert names == [f"{number}-{letter}" for number in range(5) for letter in "abcd"]
    assert await walk(store, first=first, descending=True) == names[::-1]


async def test_inserts_never_shift_a_page(store: Store, now: datetime) -> None:
    await add(store, "b", "c", "d", "e", at=now)
    seen = await page(store, first=2)
    assert [row.name for row in seen.rows] == ["b", "c"]
    await add(store, "a", at=now - timedelta(days=1))
    await add(store, "f", at=now + timedelta(days=1))
    rest = await page(store, first=10, after=(seen.rows[-1].created_at, seen.rows[-1].id))
    assert [row.name for row in rest.rows] == ["d", "e", "f"]


async def test_a_walk_beside_busy_writers_misses_nothing_that_was_there(store: Store, now: datetime) -> None:
    there = [f"kept-{number}" for number in range(60)]
    for number, name in enumerate(there):
        await add(store, name, at=now + timedelta(minutes=number))

    async def write(offset: int) -> None:
        for number in range(25):
            await add(store, f"new-{offset}-{number}", at=now + timedelta(minutes=2 * number, seconds=offset))

    writers = asyncio.gather(*(write(offset) for offset in (-7, 7, 13)))
    walked = await walk(store, first=5)
    await writers
    assert [name for name in walked if name.startswith("kept")] == there
    assert len(walked) == len(set(walked))


async def test_the_total_counts_all_rows(store: Store, now: datetime) -> None:
    await add(store, "a", "b", "c", at=now)
    async with store.transaction() as session:
        assert await total_count(session, select(Customer).order_by(col(Customer.name))) == 3
