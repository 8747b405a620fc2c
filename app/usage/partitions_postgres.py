"""The daily partitions of the events: made ahead, so that a day can be dropped whole.

Owns their names and bounds; what is in them is left to `events_postgres.py`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine import raw_connection
from app.store.locks import lock_named


async def create_partitions(session: AsyncSession, *, first: dt.date, days: int) -> int:
    """Make daily partitions from `first` on; returns how many were made.

    A day that already has events in the default partition (imported history, or a pause of this job) stays there: it is
    read the same way, only dropped less cheaply.
    """
    # Two processes that start on a new day would both find it missing, and the second would fail.
    await lock_named(session, "partitions")
    made = 0
    for offset in range(days):
        day = first + dt.timedelta(days=offset)
        name = f"events_{day:%Y%m%d}"
        exists = await session.execute(text("select to_regclass(:name) is not null"), {"name": name})
        if exists.scalar_one():
            continue
        bounds = {"low": dt.datetime.combine(day, dt.time(), dt.UTC)}
        bounds["high"] = bounds["low"] + dt.timedelta(days=1)
        taken = await session.execute(
            text("select exists (select 1 from events_default where occurred_at >= :low and occurred_at < :high)"),
            bounds,
        )
        if not taken.scalar_one():
            await _create_partition(session, name, bounds)
            made += 1
    return made


async def _create_partition(session: AsyncSession, name: str, bounds: dict[str, Any]) -> None:
    # Utility statements take no parameters; the name and the bounds are our own, and quoted all the same.
    statement: Composed = SQL("create table {} partition of events for values from ({}) to ({})").format(
        Identifier(name), bounds["low"].isoformat(), bounds["high"].isoformat()
    )
    connection = await raw_connection(session)
    await connection.execute(statement)
