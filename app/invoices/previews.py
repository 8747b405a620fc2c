"""What the open statements of a customer would say with some events that nobody sent.

Owns the choice of statements: the current one of each contract that holds now. They are rated by the function that rates
drafts, so a preview says what the draft would.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.terms import contract_period, schedule_of
from app.core.period import statement_period_at
from app.invoices.drafts import RatedStatement, rate, running_contracts, statement_of
from app.usage.preview import GivenUsage


async def preview_events(
    session: AsyncSession, customer_id: UUID, given: GivenUsage, *, now: datetime
) -> list[RatedStatement]:
    """The current statement of each contract in force, by contract id; events outside a statement do not count in it.

    Errors: `LimitExceeded` when adding to stored usage would mean folding too much of it again.
    """
    rated: list[RatedStatement] = []
    for contract in await running_contracts(session, customer_id=customer_id):
        period = statement_period_at(schedule_of(contract), contract=contract_period(contract), at=now)
        if period is not None:
            statement = statement_of(contract, period)
            rated.append(await rate(session, statement, hours=given.hours_of_metric))
    return rated
