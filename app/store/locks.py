"""One lock per customer, and a few named ones, held to the end of the transaction.

Owns the numbering of advisory locks. Whatever draws on a customer's balances, finalizes its invoices or plans its
metering takes the customer's lock first; that is what makes two workers at once harmless.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine import Store


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big", signed=True)


async def lock_customer(session: AsyncSession, customer_id: UUID) -> None:
    """Take the customer's lock; other holders are waited for, up to the store's limit."""
    await session.execute(text("select pg_advisory_xact_lock(:n)"), {"n": _number("customer", str(customer_id))})


async def lock_customers(session: AsyncSession, customer_ids: Collection[UUID]) -> None:
    """Take the locks of several customers, in the order of their ids: so two who take them never wait for each other."""
    numbers = [_number("customer", str(customer_id)) for customer_id in sorted(set(customer_ids))]
    # One statement for all: the rows of an array come in its order, and each is locked as it comes.
    await session.execute(
        text("select count(pg_advisory_xact_lock(n)) from unnest(cast(:numbers as bigint[])) n"), {"numbers": numbers}
    )


async def lock_named(session: AsyncSession, name: str) -> None:
    """Take one of the few global locks (`audit`, `metrics`, `numbers`)."""
    await session.execute(text("select pg_advisory_xact_lock(:n)"), {"n": _number("named", name)})


async def share_named(session: AsyncSession, name: str) -> None:
    """Hold a global lock together with other sharers; excludes those who take it whole."""
    await session.execute(text("select pg_advisory_xact_lock_shared(:n)"), {"n": _number("named", name)})


async def try_lock_named(session: AsyncSession, name: str) -> bool:
    """Take a global lock if it is free; False when somebody holds it."""
    found = await session.execute(text("select pg_try_advisory_xact_lock(:n)"), {"n": _number("named", name)})
    return bool(found.scalar_one())


@asynccontextmanager
async def hold(store: Store, name: str) -> AsyncIterator[bool]:
    """Hold a name across several transactions and the calls between them; yields False when somebody else does.

    The lock belongs to a connection of its own, outside any transaction, so that a provider call never keeps one open.
    When the process dies the connection dies with it, and the next worker may go on at once.
    """
    number = _number("held", name)
    connection: AsyncConnection[Any]
    async with store.pool.connection() as connection:
        is_clean = False
        try:
            await connection.set_autocommit(True)
            found = await connection.execute("select pg_try_advisory_lock(%s)", [number])
            row = await found.fetchone()
            taken = bool(row and row[0])
            yield taken
            if taken:
                await connection.execute("select pg_advisory_unlock(%s)", [number])
            await connection.set_autocommit(False)
            is_clean = True
        finally:
            # What was broken off may have kept the lock, or the mode: neither may come back to the pool (and `close` gives back).
            if not is_clean:
                connection.pgconn.finish()
