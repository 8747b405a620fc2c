"""A transaction inside a transaction that is always taken back: services run for real, and nothing of it stays.

Owns the savepoint, and a session of its own on the same connection, so that no row which the caller holds is touched. The
caller sees to it that nobody else uses the connection meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@asynccontextmanager
async def rehearse(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """A session that sees what this one has written; all that it writes, locks, numbers and enqueues is undone."""
    connection = await session.connection()
    async with AsyncSession(
        bind=connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
    ) as rehearsal:
        try:
            yield rehearsal
        finally:
            await rehearsal.rollback()
