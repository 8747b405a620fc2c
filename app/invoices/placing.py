"""The fees, charges and purchases of contracts on their open invoices.

Owns which terms are read for that; the rules are in `core.placement`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.fees import contracts_with_fees
from app.contracts.tables import Contract
from app.contracts.terms import terms_of_contracts
from app.core.items import items_due
from app.core.period import Period
from app.core.placement import Placed, place
from app.core.terms import Terms

DAY = timedelta(days=1)


def placed(
    terms: Terms,
    periods: Sequence[Period],
    *,
    final: Collection[datetime],
    waiting: Collection[datetime] = (),
    scheduled: Mapping[tuple[datetime, str], int],
    now: datetime,
) -> Placed:
    """The fees and charges of a contract on its open invoices, those on statements that end later among them."""
    ends = [period.ending_before for period in periods if period.ending_before is not None]
    items = items_due(terms, until=max([now, *(end + DAY for end in ends[-1:])]))
    return place(
        items,
        unit=terms.unit.code,
        statements=periods,
        final=final,
        waiting=waiting,
        scheduled=scheduled,
        now=now,
    )


async def terms_with_fees(session: AsyncSession, contracts: Sequence[Contract]) -> dict[UUID, Terms]:
    """The terms of those contracts that charge anything beside usage."""
    found = await contracts_with_fees(session, [contract.id for contract in contracts])
    if not found:
        return {}
    return await terms_of_contracts(session, [contract for contract in contracts if contract.id in found])
