"""Time that passes changes what alerts read, and writes nothing: looked for once an hour.

Owns which customers are to be looked at because something began or ended: segments, contracts, days that are left, and
periods of those who are in alarm. Once a day everybody who is watched is looked at.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.notices.tables import NoticeClock

CLOCK = "alerts"
BACK = timedelta(hours=2)
"""So far it looks back behind the last look, for what was written late."""

_TICK = text("""
insert into alert_touches (customer_id)
select distinct found.customer_id from (
  select g.customer_id from grant_segments s join grants g on g.id = s.grant_id
  where s.removed_at is null and (s.starting_at > :since and s.starting_at <= :now
    or s.ending_before > :since and s.ending_before <= :now)
  union
  select c.customer_id from contracts c
  where c.starting_at > :since and c.starting_at <= :now or c.ending_before > :since and c.ending_before <= :now
  union
  select g.customer_id from grant_segments s join grants g on g.id = s.grant_id
  join alerts a on a.archived_at is null and a.type like 'LOW\\_REMAINING\\_DAYS\\_%'
    and (a.customer_id is null or a.customer_id = g.customer_id)
  where s.removed_at is null
    and s.ending_before - a.threshold * interval '1 day' > :since
    and s.ending_before - a.threshold * interval '1 day' <= :now
  union
  select customer_id from alert_states where state = 'IN_ALARM'
  union
  select id from customers where archived_at is null and :is_daily
) found
where exists (
  select 1 from alerts a
  where a.archived_at is null and a.disabled_at is null and (a.customer_id is null or a.customer_id = found.customer_id)
)
""")


async def tick(session: AsyncSession, *, now: datetime) -> None:
    """Note the customers whose alerts may read otherwise than at the last look, however long ago that was."""
    await session.execute(
        insert(NoticeClock)
        .values(name=CLOCK, told_until=now - timedelta(days=1))
        .on_conflict_do_nothing(index_elements=["name"])
    )
    clock = (await session.execute(select(NoticeClock).where(NoticeClock.name == CLOCK).with_for_update())).scalar_one()
    last = min(clock.told_until.astimezone(UTC), now)
    is_daily = last.date() < now.date()
    await session.execute(_TICK, {"since": last - BACK, "now": now, "is_daily": is_daily})
    clock.told_until = now
    await session.flush()
