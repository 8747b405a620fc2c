"""Which children may draw on a balance, in its row and as the core reads it.

Owns the columns and what they mean over time; what may be said is checked in `sharing.py`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import col, func, or_

from app.contracts.tables import Contract
from app.core.hierarchy import AccessChange, ChildAccess, Sharing, contracts_reached, drawing_periods
from app.core.period import Period
from app.grants.tables import GrantRow, RecurringGrantRow


def columns_of(found: Sharing) -> tuple[str | None, list[str] | None]:
    """What a row keeps of it: nothing for NONE."""
    named = [str(contract_id) for contract_id in found.contract_ids]
    return None if found.access is ChildAccess.NONE else found.access, named or None


def sharing_of(row: GrantRow | RecurringGrantRow) -> Sharing:
    """What a row says of it."""
    if row.child_access is None:
        return Sharing()
    return Sharing(ChildAccess(row.child_access), [UUID(item) for item in row.child_contract_ids or ()])


def changes_of(row: GrantRow) -> list[AccessChange]:
    """What holds from later instants on, in the order of its making."""
    return [
        AccessChange(
            datetime.fromisoformat(item["starting_at"]),
            Sharing(ChildAccess(item["access"]), [UUID(child) for child in item["contract_ids"]]),
        )
        for item in row.child_access_changes
    ]


def access_of(row: GrantRow, contract: Contract) -> tuple[Period, ...] | None:
    """When a child may draw on a balance of its parent: empty is never, None always."""
    if row.contract_id is None or row.contract_id != contract.parent_id:
        return ()
    return drawing_periods(sharing_of(row), changes_of(row), contract.id)


def is_ever_shared(row: GrantRow) -> bool:
    """Whether some child may draw on it at some time."""
    return row.child_access is not None or bool(row.child_access_changes)


IS_EVER_SHARED = or_(
    col(GrantRow.child_access).is_not(None), func.jsonb_array_length(col(GrantRow.child_access_changes)) > 0
)
"""The condition on balances on which some child may draw at some time."""


def contract_count(row: GrantRow) -> int | None:
    """How many contracts a balance may pay for; None for all of its customer's."""
    if row.contract_id is None:
        return len(row.contract_ids) or None
    return contracts_reached(sharing_of(row), changes_of(row))
