"""Offset notices: events told again some time before or after them (semantics 8.3).

Owns what one may ask for, and the look for what is to be told now. Dates are read as they are at that moment, so an edit
that moves one moves its notice, and one that moves it into the past tells nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.change import note_change
from app.checks import name_of
from app.core.durations import LIKE, duration_of
from app.errors import ErrorCode, InvalidInput, InvalidState, LimitExceeded, NotFound
from app.notices.calendar import facts_of
from app.notices.kinds import SYSTEM, WITHOUT_DATE
from app.notices.service import emit, identified
from app.notices.tables import NoticeClock, OffsetNotice
from app.store import ids, unique

CLOCK = "offsets"
LIMIT = 500
MAX_OFFSETS = 100
_AFTER_ONLY = ("create", "edit", "archive")

_DUE = text("""
with source as (
  select 'contract.start' as type, id as subject_id, null::int as number, starting_at as at, created_at as known_at,
    false as is_child from contracts where archived_at is null
  union all
  select 'contract.end', id, null, ending_before, created_at, false from contracts
  where archived_at is null and ending_before is not null
  union all
  select case g.type when 'CREDIT' then 'credit' else 'commit' end || '.segment.' || e.name, g.id, s.number,
    case e.name when 'start' then s.starting_at else s.ending_before end, s.created_at, g.recurring_id is not null
  from grant_segments s join grants g on g.id = s.grant_id cross join (values ('start'), ('end')) e (name)
  where s.removed_at is null and g.archived_at is null
  union all
  select type, subject_id, null, occurred_at, created_at, false from notices
  where type ~ :without_date
), timed as (
  select p.id as offset_id, s.*, p.created_at as asked_at, s.is_child and p.is_back and s.at > s.known_at as may_be_late,
    s.at + case when p.is_back then -1 else 1 end * cast(p.length as interval) as fires_at
  from offset_notices p join source s on s.type = p.type
  where p.archived_at is null
), keyed as (
  select t.*, offset_id || ':' || subject_id || ':' || coalesce(number, 0) || ':' || extract(epoch from at)::bigint as once
  from timed t
  where (fires_at > greatest(:since, asked_at, known_at) and fires_at <= :now)
    or (may_be_late and fires_at <= known_at and known_at > greatest(:back, asked_at) and known_at <= :now)
)
select offset_id, type, subject_id, number, at, once from keyed k
where not exists (select 1 from notices n where n.once = k.once) order by at, once limit :limit
""")
BACK = timedelta(hours=1)


async def create_offset(
    session: AsyncSession, *, name: str, event_type: str, offset: str, uniqueness_key: str | None = None, now: datetime
) -> OffsetNotice:
    """Have events of a type told some time before (`-P7D`) or after (`P3DT12H`) them, from now on.

    Errors: INVALID, LIMIT_EXCEEDED, `Conflict`. What is made, changed or archived is known only afterwards.
    """
    duration = duration_of(offset)
    if event_type not in SYSTEM:
        raise InvalidInput(
            ErrorCode.INVALID, f"{event_type[:60]!r} is not one of {', '.join(SYSTEM)}.", path=("input", "type")
        )
    if duration is None:
        raise InvalidInput(ErrorCode.INVALID, f"{offset[:40]!r} is not {LIKE}.", path=("input", "offset"))
    if duration.is_back and event_type.endswith(_AFTER_ONLY):
        raise InvalidInput(ErrorCode.INVALID, f"{event_type} can be told afterwards only.", path=("input", "offset"))
    live = select(func.count()).select_from(OffsetNotice).where(col(OffsetNotice.archived_at).is_(None))
    if (await session.execute(live)).scalar_one() >= MAX_OFFSETS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"There are {MAX_OFFSETS} offset notices; archive one first.", path=("input",)
        )
    row = OffsetNotice(
        created_at=now, name=name_of(name, path=("input", "name")), type=event_type, length=duration.length,
        is_back=duration.is_back, uniqueness_key=uniqueness_key,
    )  # fmt: skip
    async with unique.once(session, OffsetNotice, uniqueness_key):
        session.add(row)
        await session.flush()
    note_change(session, "offset_notice", row.id, after={"name": row.name, "type": row.type, "offset": written(row)})
    return row


async def archive_offset(session: AsyncSession, offset_id: UUID, *, now: datetime) -> OffsetNotice:
    """Tell nothing of it any more. Errors: `NotFound`, ARCHIVED."""
    row = await session.get(OffsetNotice, offset_id, with_for_update=True)
    if row is None:
        raise NotFound("Offset notice", ids.to_text("offset_notice", offset_id), path=("id",))
    if row.archived_at is not None:
        raise InvalidState(ErrorCode.ARCHIVED, "The offset notice is archived.", path=("id",), conflicting=row)
    row.archived_at = now
    await session.flush()
    note_change(session, "offset_notice", row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row


def written(row: OffsetNotice) -> str:
    """The offset as it was asked for."""
    return f"{'-' if row.is_back else ''}{row.length}"


async def tell_offsets(session: AsyncSession, *, now: datetime) -> int:
    """Tell what is to be told by now; returns how much there was, and is called again when that is `LIMIT`.

    What recurs is made one period ahead; where that is less than the offset, it is told when it is made.
    """
    await session.execute(
        insert(NoticeClock).values(name=CLOCK, told_until=now).on_conflict_do_nothing(index_elements=["name"])
    )
    clock = (await session.execute(select(NoticeClock).where(NoticeClock.name == CLOCK).with_for_update())).scalar_one()
    since = min(clock.told_until, now)
    bounds = {"since": since, "back": since - BACK, "now": now, "limit": LIMIT, "without_date": WITHOUT_DATE}
    due = (await session.execute(_DUE, bounds)).all()
    for offset_id, event_type, subject_id, number, at, once in due:
        row = await session.get_one(OffsetNotice, offset_id)
        told = await facts_of(session, event_type, subject_id, number)
        more = {"offsetId": identified(offset_notice=row.id)["offset_noticeId"], "offsetDuration": written(row)}
        emit(
            session, f"offset.{event_type}", told.data | more, occurred_at=at.astimezone(UTC), now=now,
            subject_id=subject_id, customer_id=told.customer_id, contract_id=told.contract_id, once=once,
        )  # fmt: skip
    if len(due) < LIMIT:
        clock.told_until = now
    await session.flush()
    return len(due)
