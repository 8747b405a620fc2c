"""What a scenario may ask: invoices as they stand, their breakdowns, balances, and what was metered.

Owns the queries, with `invoices.py`, `breakdowns.py`, `metering.py` and `marketplace.py`. Everything is read the way the
API reads it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.core.money import canonical
from app.invoices.lifetime import lifetime_billings
from app.scenario.balances import balances, ledger_of, net_balance
from app.scenario.breakdowns import breakdown
from app.scenario.invoices import invoices
from app.scenario.marketplace import metered
from app.scenario.metering import usage
from app.scenario.world import Json, World


async def answer(world: World, query: Json, *, at: datetime) -> Any:
    """The result of one query."""
    match query["what"]:
        case "metered":
            return await metered(world, query["provider"])
        case "breakdown":
            return await breakdown(world, query, at=at)
        case "usage":
            return await usage(world, query)
        case "lifetime":
            return await _lifetime(world, query["customer"])
        case "balances":
            return await balances(world, query["customer"], at=at)
        case "ledger":
            return await ledger_of(world, query["balance"], at=at)
        case "net_balance":
            return await net_balance(world, query, at=at)
        case _:
            found = await invoices(world, query, at=at)
            wanted = {key: query[key] for key in ("type", "status", "ref") if key in query}
            return [item for item in found if all(item[key] == wanted[key] for key in wanted)]


async def _lifetime(world: World, customer: str) -> Json:
    customer_id = world.customers[customer]
    async with world.store.transaction() as session:
        found = await lifetime_billings(session, [customer_id])
    return {currency: canonical(total) for currency, total in found[customer_id].items()}
