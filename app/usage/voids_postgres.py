"""Taking events back in the default store: they leave the events and their buckets, and are kept beside them.

Owns the statements. The id of a voided event stays taken, so that a sender who repeats it does not bring it back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.period import Period
from app.usage.events import FoundEvent, VoidedEvent
from app.usage.single_postgres import found_event

VOID = """
with gone as (
    delete from events where id = any(cast(:ids as uuid[]))
    returning id, transaction_id, reference, event_type, occurred_at, properties, batch, place
), kept as (
    insert into voided_events (
        id, transaction_id, reference, event_type, occurred_at, properties, batch, place, voided_at, actor, reason
    )
    select id, transaction_id, reference, event_type, occurred_at, properties, batch, place, :now, :actor, :reason
    from gone order by id
)
select id, transaction_id, batch, reference, event_type, occurred_at, cast(properties as text) from gone order by id
"""
VOIDED = """
select id, transaction_id, batch, reference, event_type, occurred_at, cast(properties as text), voided_at, reason
from voided_events where id = any(cast(:ids as uuid[])) order by id
"""
CAME_AFTER = """
select id from events where reference = any(:references) and occurred_at >= :since and occurred_at < :until
and batch > :batch order by id
"""


class PostgresVoids:
    """Takes events back; see `EventStore`."""

    async def void(
        self, session: AsyncSession, ids: Sequence[UUID], *, actor: str, reason: str, now: dt.datetime
    ) -> Sequence[FoundEvent]:
        """In one statement; who comes second finds nothing."""
        values = {"ids": list(ids), "now": now, "actor": actor, "reason": reason}
        return [found_event(row) for row in await session.execute(text(VOID), values)]

    async def came_after(
        self, session: AsyncSession, batch: int, *, references: Sequence[str], period: Period
    ) -> Sequence[UUID]:
        """Found among the events of the period."""
        values = {"references": list(references), "batch": batch}
        values |= {"since": period.starting_at, "until": period.ending_before}
        return list(await session.scalars(text(CAME_AFTER), values))

    async def voided(self, session: AsyncSession, ids: Sequence[UUID]) -> Sequence[VoidedEvent]:
        """By the key."""
        rows = await session.execute(text(VOIDED), {"ids": list(ids)})
        return [VoidedEvent(found_event(row), row[7].astimezone(dt.UTC), row[8]) for row in rows]
