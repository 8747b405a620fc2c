"""Changes of who may draw on a balance, each from an hour on.

Owns what a change may be and its place in the row; what final invoices forbid is told above, in the invoices slice.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path, at_most, hour_of
from app.contracts.tables import Contract
from app.core.hierarchy import AccessChange, ChildAccess, Sharing
from app.core.period import floor_hour
from app.grants.sharing import check_sharing
from app.grants.tables import GrantRow

MAX_CHANGES = 100
"""Of who may draw on one balance, those that later ones replaced among them."""


class SharingEdit(NamedTuple):
    """Who may draw on a balance from an hour on; None is the one that runs."""

    sharing: Sharing
    starting_at: datetime | None = None


async def changed_sharing(
    session: AsyncSession, row: GrantRow, found: SharingEdit, *, path: Path, now: datetime
) -> AccessChange:
    """A change of who may draw on a balance, checked. Errors: NOT_HOUR_ALIGNED, `LimitExceeded`, those of `check_sharing`."""
    start = floor_hour(now) if found.starting_at is None else hour_of(found.starting_at, path=(*path, "startingAt"))
    contract = None if row.contract_id is None else await session.get_one(Contract, row.contract_id)
    # To a balance that no child reaches nothing can be said, not even that none does.
    has_children = contract is not None and contract.parent_id is None
    await check_sharing(session, contract, found.sharing if has_children else Sharing(ChildAccess.ALL), path=path)
    at_most(range(len(row.child_access_changes) + 1), MAX_CHANGES, path=path)
    return AccessChange(start, found.sharing)


def keep_change(row: GrantRow, found: AccessChange) -> None:
    """Add a change to those of a row."""
    named = [str(contract_id) for contract_id in found.sharing.contract_ids]
    change = {"starting_at": found.starting_at.isoformat(), "access": found.sharing.access.value, "contract_ids": named}
    row.child_access_changes = [*row.child_access_changes, change]
