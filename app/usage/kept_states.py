"""What final statements kept of their cases: of which metrics, and that a case stands otherwise than was kept.

Owns these two statements of the database. Rows are only ever added: the latest one of a case is what it stands at.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.outcomes import OutcomeKey
from app.core.terms import Group

_SPLITS = text("select metric_id, split from carried_metrics where invoice_id = :invoice_id order by metric_id, split")
# A moment later than what was kept, and so in its place.
_RESTATE = text("""
insert into carried_outcomes (invoice_id, contract_id, metric_id, split, digest, groups, key, at, is_counted)
select invoice_id, contract_id, metric_id, split, digest, groups, key, at + interval '1 microsecond', :is_counted
from (
    select * from carried_outcomes
    where invoice_id = :invoice_id and metric_id = :metric_id and split = cast(:split as text[])
      and groups = cast(:groups as text[]) and key = cast(:key as text[])
    order by at desc limit 1
) last_one
where is_counted <> :is_counted
""")


async def kept_splits(session: AsyncSession, invoice_id: UUID) -> Sequence[tuple[UUID, tuple[str, ...]]]:
    """The metrics of which a statement kept something, with the properties by which they were split."""
    rows = await session.execute(_SPLITS, {"invoice_id": invoice_id})
    return [(metric_id, tuple(split)) for metric_id, split in rows]


async def restate(
    session: AsyncSession,
    invoice_id: UUID,
    metric_id: UUID,
    split: Sequence[str],
    case: tuple[Group, OutcomeKey],
    *,
    is_counted: bool,
) -> None:
    """Keep that a case is counted, or is not, at the end of a statement; nothing where it was kept so, or not at all."""
    group, key = case
    values = {"groups": [value for _, value in group], "key": list(key), "split": list(split)}
    known = {"invoice_id": invoice_id, "metric_id": metric_id, "is_counted": is_counted}
    await session.execute(_RESTATE, values | known)
