"""Before which instant nothing of a customer falls due, worked out from its contracts.

Owns the bound. It is asked for by `next_due.py`, which keeps it; what is due at an instant is told by `open.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract
from app.core.items import with_every_fee
from app.invoices.consolidating import open_consolidated
from app.invoices.final import Final, final_of_contracts
from app.invoices.moved_dates import moved_dates
from app.invoices.open import placed_items
from app.invoices.open_periods import open_periods
from app.invoices.placing import terms_with_fees
from app.invoices.statements import usage_due_at
from app.invoices.trueups import open_true_ups

log = structlog.get_logger("metrograph.invoices")


async def bounds_of(
    session: AsyncSession, contracts: Sequence[Contract], *, horizon: datetime, broken: datetime
) -> dict[UUID, datetime]:
    """The bounds, and `broken` for a customer with a contract about which we made a mistake."""
    try:
        return await next_due(session, contracts, horizon=horizon)
    except (ValueError, AssertionError):
        log.exception("contracts not looked at together; those of each customer are looked at alone")
    bounds: dict[UUID, datetime] = {}
    for customer_id in sorted({contract.customer_id for contract in contracts}):
        own = [contract for contract in contracts if contract.customer_id == customer_id]
        try:
            bounds |= await next_due(session, own, horizon=horizon)
        except (ValueError, AssertionError):
            bounds[customer_id] = broken
    return bounds


async def next_due(session: AsyncSession, contracts: Sequence[Contract], *, horizon: datetime) -> dict[UUID, datetime]:
    """For each customer of some contracts an instant before which nothing of them is due; the horizon at the latest.

    What the horizon shows is what every instant before it shows, but for later statements and items.
    """
    bounds = dict.fromkeys((contract.customer_id for contract in contracts), horizon)

    def lower(contract: Contract, *instants: datetime) -> None:
        bounds[contract.customer_id] = min((bounds[contract.customer_id], *instants))

    final = await final_of_contracts(session, [contract.id for contract in contracts])
    terms = await terms_with_fees(session, contracts)
    for contract in contracts:
        done = final.get(contract.id, Final())
        periods = open_periods(contract, done, now=horizon)
        lower(contract, *(usage_due_at(contract, period) for period in periods))
        if contract.id in terms:
            placed = placed_items(with_every_fee(terms[contract.id]), done, periods, now=horizon)
            lower(contract, *(date.at for date in placed.alone))
            # What falls due before its statement begins stands alone until then.
            found = placed.on_statements.items()
            lower(contract, *(item.at for start, items in found for item in items if item.at < start))
    by_id = {contract.id: contract for contract in contracts}
    for contract_id, issue_at in (await moved_dates(session, list(by_id))).values():
        lower(by_id[contract_id], issue_at)
    for statement in await open_true_ups(session, contracts, now=horizon):
        lower(statement.contract, statement.due_at)
    for statement in await open_consolidated(session, contracts, now=horizon):
        # Before all its constituents have begun it may be due earlier on the same day.
        lower(statement.contract, statement.due_at.replace(hour=0, minute=0, second=0, microsecond=0))
    return bounds
