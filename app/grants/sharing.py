"""Which children of a contract may draw on its commits and credits (semantics 4.10).

Owns the refusals, and who hangs together by it; its columns are in `child_access.py`. What is not said is NONE, so no balance leaks by accident; a customer's own
balances stay with that customer.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from app.checks import Path, at_most
from app.contracts.tables import Contract
from app.core.hierarchy import MAX_CHILDREN, ChildAccess, Sharing
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants.child_access import IS_EVER_SHARED
from app.grants.tables import GrantRow
from app.store.arrays import among
from app.store.ids import to_text

MAX_NAMED = 10 * MAX_CHILDREN
"""Children that one balance may name: more than run at a time, as those that ended stay named."""


async def check_sharing(session: AsyncSession, contract: Contract | None, found: Sharing, *, path: Path) -> None:
    """Refuse what no child could be meant by; `contract` is None for a customer's own balance.

    Errors: INVALID, REQUIRED, `LimitExceeded`, `NotFound` for a contract that is no child.
    """
    place = (*path, "contractIds")
    if found.access is not ChildAccess.CONTRACT_IDS:
        if found.contract_ids:
            raise InvalidInput(ErrorCode.INVALID, f"{found.access} names no contracts; write CONTRACT_IDS.", path=place)
        if found.access is ChildAccess.NONE:
            return
    elif not found.contract_ids:
        raise InvalidInput(
            ErrorCode.REQUIRED, "Name the children that may draw on it, or write ALL or NONE.", path=place
        )
    if contract is None:
        raise InvalidInput(
            ErrorCode.INVALID,
            "A customer's own balance is for that customer's contracts; children draw on balances of their parent. Make it "
            "on the parent.",
            path=path,
        )
    if contract.parent_id is not None:
        raise InvalidInput(
            ErrorCode.INVALID, "The contract is a child itself and has none that could draw on it.", path=path
        )
    at_most(found.contract_ids, MAX_NAMED, path=place)
    rows = await session.scalars(
        select(Contract.id).where(Contract.parent_id == contract.id, col(Contract.id).in_(found.contract_ids))
    )
    missing = sorted(set(found.contract_ids) - set(rows))
    if missing:
        raise NotFound("Child contract", to_text("contract", missing[0]), path=place)


async def sharing_customers(session: AsyncSession, customer_ids: Collection[UUID]) -> list[frozenset[UUID]]:
    """These customers and all whose open invoices hang together with theirs, since children draw on balances of parents.

    Those that hang together are one set: whom two of them share a parent's balances with is in it, and so on.
    """
    parent = aliased(Contract)
    is_shared = (
        select(GrantRow.id)
        .where(
            GrantRow.contract_id == parent.id,
            IS_EVER_SHARED,
            col(GrantRow.archived_at).is_(None),
        )
        .exists()
    )
    pairs = (
        select(Contract.customer_id, parent.customer_id)
        .join(parent, col(Contract.parent_id) == parent.id)
        .where(col(Contract.archived_at).is_(None), is_shared)
    )
    found = {customer_id: frozenset([customer_id]) for customer_id in customer_ids}
    fresh = set(found)
    while fresh:
        # Two questions, as one index answers each.
        upwards = pairs.where(among(col(Contract.customer_id), fresh))
        downwards = pairs.where(among(col(parent.customer_id), fresh))
        rows = await session.execute(union(upwards, downwards))
        known = set(found)
        for one, other in rows:
            together = found.get(one, frozenset([one])) | found.get(other, frozenset([other]))
            found |= dict.fromkeys(together, together)
        fresh = set(found) - known
    return list(dict.fromkeys(found.values()))
