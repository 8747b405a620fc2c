"""Proves the books of every commit and credit from both sides.

Owns the comparison: what its own entries say, against the lines of invoices, the purchases that were voided, and the
balances into which something rolled over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.balance_sheet import balance_sheet
from app.core.money import ZERO, exact
from app.grants.reading import stored_grants
from app.grants.shown import KINDS
from app.grants.tables import GrantRow
from app.store.ids import to_text

BATCH = 500

TAKEN = """
select grant_id, sum(taken) from (
  select l.grant_id, case l.type when 'applied' then -l.amount else l.amount end as taken from invoice_lines l
  where l.grant_id = any(:ids) and l.type in ('applied', 'trueup')
    and not exists (select 1 from invoice_voids v where v.invoice_id = l.invoice_id)
  union all
  select t.grant_id, case t.target when 'canceled' then t.amount else -t.amount end from transfers t
  join grant_segments s on s.grant_id = t.grant_id and s.number = t.segment and s.removed_at is null
  where t.grant_id = any(:ids) and 'canceled' in (t.source, t.target)
) found group by grant_id
"""
ROLLED = """
select g.rolled_from_id, sum(s.amount) from grants g join grant_segments s on s.grant_id = g.id
where g.rolled_from_id = any(:ids) group by g.rolled_from_id
"""


async def unbalanced(session: AsyncSession, *, now: datetime) -> tuple[int, list[str]]:
    """How many balances were looked at, and the ids of those where granted is not drawn, expired, rolled over or left."""
    checked, wrong, last = 0, list[str](), UUID(int=0)
    while True:
        rows = await session.execute(
            select(GrantRow).where(col(GrantRow.id) > last).order_by(col(GrantRow.id)).limit(BATCH)
        )
        batch = rows.scalars().all()
        if not batch:
            return checked, wrong
        wrong += await _unbalanced(session, batch, now=now)
        checked, last = checked + len(batch), batch[-1].id


async def _unbalanced(session: AsyncSession, batch: Sequence[GrantRow], *, now: datetime) -> list[str]:
    ids = [row.id for row in batch]
    taken = await _sums(session, TAKEN, ids)
    rolled = await _sums(session, ROLLED, ids)
    wrong: list[str] = []
    for item in await stored_grants(session, batch):
        row = item.row
        sheet = balance_sheet(item.grant, item.movements, now=now)
        with exact():
            agrees = (sheet.taken, sheet.rolled_over) == (taken.get(row.id, ZERO), rolled.get(row.id, ZERO))
        if not (sheet.is_balanced and agrees):
            wrong.append(to_text(KINDS[row.type], row.id))
    return wrong


async def _sums(session: AsyncSession, query: str, ids: Sequence[UUID]) -> dict[UUID, Decimal]:
    rows = await session.execute(text(query), {"ids": list(ids)})
    return {row[0]: row[1] for row in rows}
