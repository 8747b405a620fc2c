"""Who belongs to a hierarchy of contracts: children of a parent, and the customers whose locks go together.

Owns reading it. A contract joins a hierarchy when it is made and never leaves it, so what is read here without a lock
stays true; the rules are in `hierarchies.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.store.arrays import among
from app.store.locks import lock_customers


async def running_children(session: AsyncSession, parent_id: UUID) -> Sequence[Contract]:
    """The children of a contract that are not archived, by id."""
    rows = await session.scalars(
        select(Contract)
        .where(Contract.parent_id == parent_id, col(Contract.archived_at).is_(None))
        .order_by(col(Contract.id))
    )
    return rows.all()


async def is_in_hierarchy(session: AsyncSession, contract: Contract) -> bool:
    """Whether a contract is a child, has running children, or was made to be a parent."""
    if contract.parent_id is not None or contract.consolidation is not None:
        return True
    return bool(await running_children(session, contract.id))


async def parents_of_customers(session: AsyncSession, customer_ids: Sequence[UUID]) -> set[UUID]:
    """The customers who have parents of contracts of these customers."""
    parent = aliased(Contract)
    found = await session.scalars(
        select(parent.customer_id)
        .join(Contract, col(Contract.parent_id) == parent.id)
        .where(among(col(Contract.customer_id), customer_ids))
        .distinct()
    )
    return set(found)


async def families_of(session: AsyncSession, customer_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """For each of some customers one of them that stands for all whose contracts are parents and children of each other."""
    parent = aliased(Contract)
    rows = await session.execute(
        select(Contract.customer_id, parent.customer_id)
        .join(parent, col(Contract.parent_id) == parent.id)
        .where(among(col(Contract.customer_id), customer_ids))
        .distinct()
    )
    found: dict[UUID, UUID] = {customer_id: customer_id for customer_id in customer_ids}
    pairs: list[tuple[UUID, UUID]] = [(child, above) for child, above in rows]
    for pair in pairs:
        # The parent's customer may have nothing due itself, and still stands for its children's.
        names = {found.get(item, item) for item in pair}
        first = min(names)
        found |= dict.fromkeys(pair, first)
        found = {key: first if name in names else name for key, name in found.items()}
    return {customer_id: found[customer_id] for customer_id in customer_ids}


async def lock_family(session: AsyncSession, *customer_ids: UUID) -> None:
    """Take the locks of some customers and of all whose contracts are parents of their contracts.

    Whatever becomes final of the customers may draw on their balances, and be put together with their statements.
    """
    await lock_customers(session, {*customer_ids, *await parents_of_customers(session, customer_ids)})
