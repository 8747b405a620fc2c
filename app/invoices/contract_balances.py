"""The commits and credits of a contract, changed as a part of its edit.

Owns whose balances an edit may change; what each change may be is in `balance_edits.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path, at_most, beneath
from app.contracts.tables import Contract
from app.errors import NotFound
from app.grants.editing import GrantEdit
from app.grants.shown import KINDS
from app.grants.tables import GrantRow
from app.invoices.balance_edits import update_balance
from app.providers import ProviderDirectory
from app.store import ids

MAX_BALANCES = 100


class BalanceChange(NamedTuple):
    """A commit or credit of the contract, or of its customer as a whole, and what changes of it."""

    grant_id: UUID
    edit: GrantEdit


async def edit_balances(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    found: Sequence[BalanceChange],
    *,
    now: datetime,
) -> dict[str, object]:
    """Change them in the order given; gives what the history says of it.

    Errors: `NotFound` for a balance of another contract or customer, those of `update_balance`; `LimitExceeded` above 100.
    """
    at_most(found, MAX_BALANCES, path=("input", "updateBalances"))
    named: list[str] = []
    for index, (grant_id, edit) in enumerate(found):
        place = ("input", "updateBalances", str(index))
        kind = await _kind_of(session, contract, grant_id, path=(*place, "id"))
        with beneath(place):
            await update_balance(session, directory, grant_id, edit, now=now)
        named.append(ids.to_text(kind, grant_id))
    return {"updatedBalances": named} if named else {}


async def _kind_of(session: AsyncSession, contract: Contract, grant_id: UUID, *, path: Path) -> str:
    row = await session.get(GrantRow, grant_id)
    if row is None or row.customer_id != contract.customer_id or row.contract_id not in (None, contract.id):
        raise NotFound("Balance", ids.to_text("credit", grant_id), path=path)
    return KINDS[row.type]
