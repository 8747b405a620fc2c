"""Statements of hierarchies on their way out: with others, by themselves, or not yet.

Owns that choice. It is made under the lock of deliveries, which whoever puts statements together takes as well; so a
statement goes out once, one way or the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.tables import BillingConfiguration
from app.invoices.consolidated import parts_of_any
from app.invoices.consolidating import held_back
from app.invoices.tables import Invoice


async def sent_by_themselves(
    session: AsyncSession, found: Sequence[tuple[Invoice, BillingConfiguration]], *, now: datetime
) -> list[tuple[Invoice, BillingConfiguration, bool]]:
    """Invoices with their routes, without those that wait to go out with others, and whether each is part of another."""
    if not found:
        return []
    invoices = [invoice for invoice, _ in found]
    parts = await parts_of_any(session, [invoice.id for invoice in invoices])
    held = await held_back(session, invoices, now=now)
    return [
        (invoice, route, invoice.id in parts)
        for invoice, route in found
        if invoice.id in parts or invoice.id not in held
    ]
