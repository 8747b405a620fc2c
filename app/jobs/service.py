"""Enqueues durable work in the transaction of the change that needs it.

Owns the one helper that defers a job. The engine is procrastinate on the same database; which function a name runs is
decided in `worker.py`, so a lower slice can ask for work of a higher one without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine import raw_connection

# Only builds and defers jobs; it is never opened, since every job goes through a session's own connection.
_DEFERRER = procrastinate.App(connector=procrastinate.PsycopgConnector())


async def enqueue(
    session: AsyncSession,
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    lock: str | None = None,
    once: str | None = None,
    run_at: datetime | None = None,
    wait: timedelta | None = None,
) -> bool:
    """Add a job; it exists when the transaction commits. False when `once` names one that is waiting already.

    `lock` puts jobs in order (it is no exclusion: handlers take their own locks). `arguments` are ids and plain JSON.
    With `wait` it is begun no sooner than that, so that what comes meanwhile joins it.
    """
    # A refused insert poisons the transaction: without a savepoint the later commit would silently undo everything.
    # SQLAlchemy opens a savepoint only when a statement needs it, hence the explicit connection.
    async with session.begin_nested() as savepoint:
        await session.connection()
        job = _DEFERRER.configure_task(
            name, lock=lock, queueing_lock=once, schedule_at=run_at,
            schedule_in=None if wait is None else {"seconds": wait.total_seconds()},
            connection=await raw_connection(session),
        )  # fmt: skip
        try:
            await job.defer_async(**dict(arguments or {}))
        except AlreadyEnqueued:
            await savepoint.rollback()
            return False
    return True
