"""What a customer's running usage statements come to now: before commits and credits, and after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.alert_readings import spend_of
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact
from app.invoices.balances import CustomerBook
from app.invoices.drafts import RatedStatement


@dataclass(frozen=True, slots=True)
class Spend:
    """Usage charges and subtotals by unit, each sorted, and the drafts that they are of."""

    customer_id: UUID
    charges: Sequence[tuple[str, Decimal]]
    totals: Sequence[tuple[str, Decimal]]
    statements: Sequence[RatedStatement]


async def current_spend(session: AsyncSession, customer_id: UUID, *, now: datetime) -> Spend:
    """The usage statements of a customer's own contracts whose period runs, as drafts say them (semantics 8.1)."""
    book = await CustomerBook.of(session, customer_id, now=now)
    running = [
        await book.rate(item)
        for item in book.open
        if item.type is InvoiceType.USAGE and item.contract.customer_id == customer_id and item.period.contains(now)
    ]
    charges: dict[str, Decimal] = {}
    totals: dict[str, Decimal] = {}
    with exact():
        for rated in running:
            lines, currency = rated.draft.lines, rated.draft.unit.code
            totals[currency] = totals.get(currency, ZERO) + rated.draft.subtotal
            for unit in {currency, *(line.unit for line in lines)}:
                charges[unit] = charges.get(unit, ZERO) + spend_of(lines, unit)
    return Spend(customer_id, sorted(charges.items()), sorted(totals.items()), running)
