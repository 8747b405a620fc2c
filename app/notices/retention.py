"""Forgets notices that are long told or given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.notices.kinds import WITHOUT_DATE

KEPT = timedelta(days=90)
_OLD = (
    "select id from notices n where created_at < :before and (once is null and type !~ :without_date or exists "
    "(select 1 from notice_deliveries d where d.notice_id = n.id)) order by created_at limit :limit"
)
LIMIT = 20_000


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop notices of more than 90 days with their tries, some thousands at a time.

    Those that are said once for ever stay, without their tries: their key is what keeps them from being said again. So do
    those of which an offset notice may have to tell years later, as nothing else knows their time.
    """
    bounds = {"before": now - KEPT, "limit": LIMIT, "without_date": WITHOUT_DATE}
    old = (await session.execute(text(_OLD), bounds)).scalars().all()
    for statement in (
        "delete from notice_attempts where delivery_id in "
        "(select id from notice_deliveries where notice_id = any(:old))",
        "delete from notice_deliveries where notice_id = any(:old)",
        "delete from notices where id = any(:old) and once is null and type !~ :without_date",
    ):
        await session.execute(text(statement), {"old": list(old), "without_date": WITHOUT_DATE})
