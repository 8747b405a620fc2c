"""Which statements of a contract go before another, for metrics that look back.

Owns the choice: final ones that count. What lies behind a void one is measured again as it is now, until it is made again.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.invoices.tables import IS_VOID, Invoice
from app.usage.outcomes import Before, BeforeReader


def statements_before(session: AsyncSession, contract_id: UUID, at: datetime) -> BeforeReader:
    """Finds the final statements of a contract that begin before an instant, and count."""

    async def before() -> Before:
        begins = await session.execute(select(Contract.starting_at).where(Contract.id == contract_id))
        found = await session.execute(
            select(Invoice.id)
            .where(
                Invoice.contract_id == contract_id,
                Invoice.type == InvoiceType.USAGE,
                col(Invoice.starting_at) < at,
                ~IS_VOID,
            )
            .order_by(col(Invoice.starting_at), col(Invoice.id))
        )
        return Before(contract_id, begins.scalar_one(), found.scalars().all())

    return before
