"""Usage that a threshold waits for: noted with the batch, and looked at soon after.

Owns the note. Finding out what it comes to is work of higher slices, and no part of a call that brings usage.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs.service import enqueue

TOUCHED_JOB = "thresholds.usage"
WAIT = timedelta(seconds=2)
"""Batches that come within it are looked at together."""

TOUCH = text("""
insert into threshold_touches (contract_id)
select distinct t.contract_id
from (
  select customer_id from ingest_aliases where alias = any(:references)
  union select id from customers where id = any(cast(:ids as uuid[]))
) found
join contracts c on c.customer_id = found.customer_id and c.archived_at is null
join contract_thresholds t on t.contract_id = c.id and t.removed_at is null and t.is_enabled
order by t.contract_id
""")


async def note_usage(session: AsyncSession, references: Collection[str]) -> None:
    """Note the contracts with a threshold whose customers have new usage under these references."""
    ids = [reference[4:] for reference in references if reference.startswith("cus_") and _is_hex(reference[4:])]
    noted = await session.execute(TOUCH, {"references": sorted(references), "ids": sorted(ids)})
    if noted.rowcount:  # type: ignore[attr-defined]
        await enqueue(session, TOUCHED_JOB, once=TOUCHED_JOB, wait=WAIT)


def _is_hex(text: str) -> bool:
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)
