"""The books of many commits and credits at once: their segments, and everything that moved in them.

Owns the reading by columns, and of sums: what is left of a balance hangs on nothing else, and a book of years is long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.grants import Grant, Segment
from app.core.ledger import Movement, TransferKind
from app.core.period import Period
from app.grants.tables import SegmentRow


async def segments_of(session: AsyncSession, grant_ids: Collection[UUID]) -> dict[UUID, list[Segment]]:
    """The segments that were not removed, by grant and number."""
    rows = await session.execute(
        select(
            col(SegmentRow.grant_id),
            col(SegmentRow.number),
            col(SegmentRow.starting_at),
            col(SegmentRow.ending_before),
            col(SegmentRow.amount),
        )
        .where(col(SegmentRow.grant_id).in_(grant_ids), col(SegmentRow.removed_at).is_(None))
        .order_by(col(SegmentRow.number))
    )
    found: dict[UUID, list[Segment]] = {grant_id: [] for grant_id in grant_ids}
    for grant_id, number, starting_at, ending_before, amount in rows:
        found[grant_id].append(Segment(number, Period(starting_at, ending_before), amount))
    return found


MOVEMENTS = text("""
select grant_id, segment, kind,
       case when target = 'segment:' || grant_id || ':' || segment then amount else -amount end,
       at, invoice_id, contract_id, reason
from transfers where grant_id = any(:grant_ids) order by created_at, id
""")
SUMS = text("""
select grant_id, segment, kind,
       sum(case when target = 'segment:' || grant_id || ':' || segment then amount else -amount end),
       max(at)
from transfers where grant_id = any(:grant_ids) group by grant_id, segment, kind order by grant_id, segment, kind
""")


async def movements_of(session: AsyncSession, grant_ids: Collection[UUID]) -> dict[UUID, list[Movement]]:
    """Each transfer as its segment sees it, by grant, in the order of their making."""
    connection = await session.connection()
    rows = await connection.execute(MOVEMENTS, {"grant_ids": list(grant_ids)})
    found: dict[UUID, list[Movement]] = {grant_id: [] for grant_id in grant_ids}
    kinds = {kind.value: kind for kind in TransferKind}
    for grant_id, segment, kind, amount, at, invoice_id, contract_id, reason in rows:
        instant = at.astimezone(UTC)
        found[grant_id].append(Movement(kinds[kind], segment, amount, instant, invoice_id, contract_id, reason))
    return found


async def sums_of(session: AsyncSession, grant_ids: Collection[UUID]) -> dict[UUID, list[Movement]]:
    """One movement for all transfers of a segment that are of one kind, by grant, segment and kind.

    They add up to what the transfers do; whose they were and when is told by `movements_of`.
    """
    connection = await session.connection()
    rows = await connection.execute(SUMS, {"grant_ids": list(grant_ids)})
    found: dict[UUID, list[Movement]] = {grant_id: [] for grant_id in grant_ids}
    for grant_id, segment, kind, amount, at in rows:
        found[grant_id].append(Movement(TransferKind(kind), segment, amount, at.astimezone(UTC)))
    return found


def live_movements(segments: Sequence[Segment], moved: Sequence[Movement]) -> tuple[Movement, ...]:
    """The movements of these segments."""
    live = {segment.number for segment in segments}
    return tuple(item for item in moved if item.segment in live)


async def in_full(
    session: AsyncSession, grants: Sequence[Grant], moved: Mapping[UUID, Sequence[Movement]]
) -> dict[UUID, Sequence[Movement]]:
    """The stored movements of some balances one by one, and after them those of drafts, which stand in `moved`."""
    stored = await movements_of(session, [grant.id for grant in grants])
    return {
        grant.id: [
            *live_movements(grant.segments, stored[grant.id]),
            *(movement for movement in moved[grant.id] if movement.is_draft),
        ]
        for grant in grants
    }
