"""The balances that overrides name: commits and credits of the contract's own customer.

Owns looking them up. Balances that come with the same contract are stored before its overrides, so they are found too.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.contracts.override_rules import NewOverride
from app.contracts.tables import Contract
from app.errors import NotFound
from app.grants.tables import GrantRow
from app.store.ids import to_text


async def check_balances(
    session: AsyncSession, contract: Contract, entries: Sequence[NewOverride], *, path: Path
) -> None:
    """Refuse a balance of another customer as one that does not exist."""
    named = {grant_id for entry in entries for item in entry.specifiers for grant_id in item.grant_ids}
    if not named:
        return
    rows = await session.execute(
        select(GrantRow.id).where(col(GrantRow.id).in_(named), GrantRow.customer_id == contract.customer_id)
    )
    known = set(rows.scalars())
    for index, entry in enumerate(entries):
        for place, item in enumerate(entry.specifiers):
            for number, grant_id in enumerate(item.grant_ids):
                if grant_id not in known:
                    where = (*path, str(index), "specifiers", str(place), "balanceIds", str(number))
                    raise NotFound("Balance", to_text("credit", grant_id), path=where)
