"""What the open statements of a customer would say with some events that nobody sent.

Owns the choice of statements: the current one of each contract that holds now. They are rated by the function that rates
drafts, so a preview says what the draft would.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.invoice import InvoiceType
from app.invoices.balances import Books
from app.invoices.drafts import RatedStatement
from app.invoices.finding import running_contracts
from app.invoices.open import open_statements
from app.usage.preview import GivenUsage


async def preview_events(
    session: AsyncSession, customer_id: UUID, given: GivenUsage, *, now: datetime
) -> list[RatedStatement]:
    """The current statement of each contract in force, by contract id; events outside a statement do not count in it.

    Errors: `LimitExceeded` when adding to stored usage would mean folding too much of it again.
    """
    contracts = await running_contracts(session, customer_id=customer_id)
    current = [
        statement
        for statement in await open_statements(session, contracts, now=now)
        if statement.type is InvoiceType.USAGE and statement.period.contains(now)
    ]
    current.sort(key=lambda statement: statement.contract.id)
    books = Books(session, now=now, hours=given.hours_of_metrics)
    return [await books.rate(statement) for statement in current]
