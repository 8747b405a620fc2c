"""Tells what begins and ends by the calendar: contracts, segments of balances; and which billing runs are done.

Owns the look through the rows whose time has come. Each is told once for each of its dates, by a key that the database
keeps; what had begun before it was made, or was moved into the past, is told when that becomes known.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.contracts.tables import Contract
from app.grants.tables import GrantRow, SegmentRow
from app.notices.noticing import contract_data, grant_data
from app.notices.service import emit, identified
from app.notices.tables import NoticeClock

CLOCK = "calendar"
BACK = timedelta(hours=1)
"""A transaction that took longer than the last look is found by looking back; what was told is not told again."""
LIMIT = 500
JOBS_BACK = timedelta(days=7)

_DUE = text("""
with touched as (
  select subject_id from notices where created_at > :since and type in
    ('contract.create', 'contract.edit', 'commit.create', 'commit.edit', 'credit.create', 'credit.edit')
), found as (
  select 'contract.start' as type, c.id, null::int as number, c.starting_at as at from contracts c
  where c.archived_at is null and c.starting_at <= :now
    and (c.starting_at > :since or c.id in (select subject_id from touched))
  union all
  select 'contract.end', c.id, null, c.ending_before from contracts c
  where c.archived_at is null and c.ending_before <= :now
    and (c.ending_before > :since or c.id in (select subject_id from touched))
  union all
  select case g.type when 'CREDIT' then 'credit' else 'commit' end || '.segment.start', g.id, s.number, s.starting_at
  from grant_segments s join grants g on g.id = s.grant_id
  where s.removed_at is null and g.archived_at is null and s.starting_at <= :now
    and (s.starting_at > :since or g.id in (select subject_id from touched))
  union all
  select case g.type when 'CREDIT' then 'credit' else 'commit' end || '.segment.end', g.id, s.number, s.ending_before
  from grant_segments s join grants g on g.id = s.grant_id
  where s.removed_at is null and g.archived_at is null and s.ending_before <= :now
    and (s.ending_before > :since or g.id in (select subject_id from touched))
), keyed as (
  select f.*, type || ':' || id || ':' || coalesce(number, 0) || ':' || extract(epoch from at)::bigint as once from found f
)
select type, id, number, at, once from keyed k
where not exists (select 1 from notices n where n.once = k.once) order by at, once limit :limit
""")
_RUNS = text("""
select r.id, 'job.finished:' || r.id as once from billing_runs r
where r.created_at > :since
  and not exists (select 1 from billing_run_contracts c where c.run_id = r.id and c.done_at is null)
  and not exists (select 1 from notices n where n.once = 'job.finished:' || r.id)
order by r.id limit :limit
""")


async def tell_calendar(session: AsyncSession, *, now: datetime) -> int:
    """Tell what has begun and ended by now; returns how much there was, and is called again when that is `LIMIT`."""
    await session.execute(
        insert(NoticeClock).values(name=CLOCK, told_until=now).on_conflict_do_nothing(index_elements=["name"])
    )
    clock = (await session.execute(select(NoticeClock).where(NoticeClock.name == CLOCK).with_for_update())).scalar_one()
    since = min(clock.told_until, now) - BACK
    due = (await session.execute(_DUE, {"since": since, "now": now, "limit": LIMIT})).all()
    for event_type, subject_id, number, at, once in due:
        told = await facts_of(session, event_type, subject_id, number)
        emit(
            session, event_type, told.data, occurred_at=at.astimezone(UTC), now=now, subject_id=subject_id,
            customer_id=told.customer_id, contract_id=told.contract_id, once=once,
        )  # fmt: skip
    runs = (await session.execute(_RUNS, {"since": now - JOBS_BACK, "limit": LIMIT})).all()
    for run_id, once in runs:
        emit(
            session, "job.finished", identified(job=run_id), occurred_at=now, now=now, subject_id=run_id, once=once
        )  # fmt: skip
    if len(due) < LIMIT:
        clock.told_until = now
    await session.flush()
    return max(len(due), len(runs))


class Facts(NamedTuple):
    """What an event of a contract or balance says, and whom it concerns."""

    data: dict[str, Any]
    customer_id: UUID
    contract_id: UUID | None


async def facts_of(session: AsyncSession, event_type: str, subject_id: UUID, number: int | None) -> Facts:
    """What an event says of the contract or, with the number of a segment, of the balance that it is about."""
    if event_type.startswith("contract."):
        contract = await session.get_one(Contract, subject_id)
        return Facts(contract_data(contract), contract.customer_id, contract.id)
    grant = await session.get_one(GrantRow, subject_id)
    segment = {} if number is None else await _segment(session, grant, number)
    return Facts(grant_data(grant) | segment, grant.customer_id, grant.contract_id)


async def _segment(session: AsyncSession, grant: GrantRow, number: int) -> dict[str, object]:
    live = select(func.count()).select_from(SegmentRow).where(
        SegmentRow.grant_id == grant.id, col(SegmentRow.removed_at).is_(None)
    )  # fmt: skip
    row = (
        await session.execute(select(SegmentRow).where(SegmentRow.grant_id == grant.id, SegmentRow.number == number))
    ).scalar_one()
    count = (await session.execute(live)).scalar_one()
    return {"segmentId": row.id.hex, "segmentIndex": number, "segmentCount": count}
