"""Takes away what is left of commits that nobody pays for.

Owns those entries of the ledger. The caller holds the customer's lock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.grants import SegmentKey
from app.core.ledger import TransferKind, remaining
from app.core.money import ZERO
from app.grants.reading import stored_grants
from app.grants.tables import GrantRow
from app.grants.transfers import CANCELED, transfer


async def cancel_rest(
    session: AsyncSession,
    grant_ids: Collection[UUID],
    *,
    now: datetime,
    invoice_id: UUID | None = None,
    contract_id: UUID | None = None,
) -> None:
    """Take away what is left of commits that are not paid for."""
    rows = await session.execute(select(GrantRow).where(col(GrantRow.id).in_(grant_ids)).order_by(col(GrantRow.id)))
    for item in await stored_grants(session, rows.scalars().all()):
        for segment in item.grant.segments:
            left = remaining(segment, item.movements)
            if left > ZERO:
                session.add(
                    transfer(
                        TransferKind.CANCELED, SegmentKey(item.row.id, segment.number), -left, other=CANCELED, at=now,
                        now=now, invoice_id=invoice_id, contract_id=contract_id,
                    )
                )  # fmt: skip
    await session.flush()
