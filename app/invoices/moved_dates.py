"""Reads the issue dates that were moved; moving one is in `issue_dates.py`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.invoices.tables import Invoice, MovedIssueDate
from app.store.arrays import among


async def moved_dates(session: AsyncSession, contract_ids: Collection[UUID]) -> dict[UUID, tuple[UUID, datetime]]:
    """The open invoices of some contracts whose issue date was moved: contract and date, by id."""
    is_final = select(Invoice.id).where(Invoice.id == MovedIssueDate.invoice_id).exists()
    rows = await session.execute(
        select(MovedIssueDate).where(among(col(MovedIssueDate.contract_id), contract_ids), ~is_final)
    )
    return {row.invoice_id: (row.contract_id, row.issue_at) for row in rows.scalars()}
