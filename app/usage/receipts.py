"""When ingest calls were received.

Owns that reading; events name the call that brought them by its number.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.usage.tables import IngestBatch


async def received_times(session: AsyncSession, numbers: Collection[int]) -> dict[int, datetime]:
    """When each of these calls was received, by number."""
    found = await session.execute(
        select(IngestBatch.number, IngestBatch.received_at).where(col(IngestBatch.number).in_(numbers))
    )
    return dict(list(found))
