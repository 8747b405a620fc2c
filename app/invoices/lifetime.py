"""Lifetime billings: what all final invoices of a customer come to.

Owns the sum of semantics 6.9. Void invoices do not count. Currencies are never added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.invoices.tables import IS_VOID, Invoice


async def lifetime_billings(session: AsyncSession, customer_ids: Sequence[UUID]) -> dict[UUID, dict[str, Decimal]]:
    """The totals of each customer's final invoices by currency, in the order of their codes."""
    rows = await session.execute(
        select(Invoice.customer_id, Invoice.currency, func.sum(Invoice.total))
        .where(col(Invoice.customer_id).in_(customer_ids), ~IS_VOID)
        .group_by(col(Invoice.customer_id), col(Invoice.currency))
        .order_by(col(Invoice.currency))
    )
    found: dict[UUID, dict[str, Decimal]] = {customer_id: {} for customer_id in customer_ids}
    for customer_id, currency, total in rows:
        found[customer_id][currency] = total
    return found
