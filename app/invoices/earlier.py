"""Which statements of a contract, and of contracts that it follows, go before another, for metrics that look back.

Owns the choice: final ones that count. What lies behind a void one is measured again as it is now, until it is made again.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract, TransitionRow
from app.core.invoice import InvoiceType
from app.invoices.tables import IS_VOID, Invoice
from app.usage.outcomes import Before, BeforeReader


def statements_before(session: AsyncSession, contract_id: UUID, at: datetime) -> BeforeReader:
    """Finds the final statements of a contract, and of those that it follows, that begin before an instant, and count."""

    async def before() -> Before:
        begins = await session.execute(select(Contract.starting_at).where(Contract.id == contract_id))
        followed = await followed_by(session, contract_id)
        found = await session.execute(
            select(Invoice.id)
            .where(
                col(Invoice.contract_id).in_([contract_id, *followed]),
                Invoice.type == InvoiceType.USAGE,
                col(Invoice.starting_at) < at,
                ~IS_VOID,
            )
            .order_by(col(Invoice.starting_at), col(Invoice.id))
        )
        return Before(contract_id, begins.scalar_one(), found.scalars().all(), followed)

    return before


async def followed_by(session: AsyncSession, contract_id: UUID) -> list[UUID]:
    """The contracts that a contract follows, the last one first: what they billed is not billed again."""
    found: list[UUID] = []
    while True:
        last = found[-1] if found else contract_id
        before = await session.scalar(select(TransitionRow.from_id).where(TransitionRow.contract_id == last))
        if before is None:
            return found
        found.append(before)
