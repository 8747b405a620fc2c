"""Recomputing every invoice of a database, for tests of any slice."""

from __future__ import annotations

from app.invoices.recomputing import Outcome, Recomputed, page_after, recompute
from app.store.engine import Store


async def recomputed(store: Store) -> list[Recomputed]:
    """The verdict on every invoice, by id."""
    found: list[Recomputed] = []
    async with store.transaction() as session:
        page = await page_after(session, None)
        while page:
            found += await recompute(session, page)
            page = await page_after(session, page[-1])
    return found


async def assert_all_same(store: Store) -> int:
    """Every invoice recomputes to the same bytes; how many there are."""
    found = await recomputed(store)
    assert [item for item in found if item.outcome is not Outcome.SAME] == []
    return len(found)
