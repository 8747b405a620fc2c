"""Commits and credits that end with their contract.

Owns that they are archived and not deleted: their books stay, and they pay for nothing any more.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.grants.tables import GrantRow, RecurringGrantRow


async def archive_of_contract(session: AsyncSession, contract_id: UUID, *, now: datetime) -> int:
    """Archive all commits and credits of a contract, and what would make more of them; returns how many there were."""
    grants = await session.scalars(
        select(GrantRow).where(GrantRow.contract_id == contract_id, col(GrantRow.archived_at).is_(None))
    )
    recurring = await session.scalars(
        select(RecurringGrantRow).where(
            RecurringGrantRow.contract_id == contract_id, col(RecurringGrantRow.archived_at).is_(None)
        )
    )
    found = [*grants.all(), *recurring.all()]
    for row in found:
        row.archived_at = now
    await session.flush()
    return len(found)
