"""Posts what rolls over, once for each renewal (semantics 5.8).

Owns when: after the last usage statement of the old contract is final, in the transaction that makes it so, or at the next
full hour where nothing becomes final any more.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import and_, col, or_, select

from app.contracts.family import lock_family
from app.contracts.tables import Contract, TransitionRow
from app.grants.reading import grants_of_customer
from app.grants.rolling import post_rollover, rollovers
from app.grants.rollovers import make_rollovers
from app.invoices.open import open_statements
from app.invoices.rollovers import Renewals, counts_before
from app.store.engine import Store


async def settle(session: AsyncSession, *customer_ids: UUID, now: datetime) -> int:
    """Post what rolls over of every renewal of which it is known; returns how many. The caller holds the locks."""
    renewals = await Renewals.of(session, *customer_ids, now=now)
    if not renewals.waiting:
        return 0
    await make_rollovers(session, *customer_ids, now=now)
    old = [row.from_id for row, _ in renewals.waiting]
    is_child = and_(col(Contract.parent_id).in_(old), col(Contract.archived_at).is_(None))
    rows = await session.execute(select(Contract).where(or_(col(Contract.id).in_(old), is_child)))
    open_ones = await open_statements(session, rows.scalars().all(), now=now)
    late: set[UUID] = set()
    settled = 0
    for row, contract in renewals.waiting:
        if row.from_id in late or any(counts_before(item, row) for item in open_ones):
            late.add(contract.id)
            continue
        grants = {item.row.id: item for item in await grants_of_customer(session, contract.customer_id)}
        for found in rollovers(contract, grants, {key: item.movements for key, item in grants.items()}):
            post_rollover(session, found, row, now=now)
        row.settled_at = now
        await session.flush()
        settled += 1
    return settled


async def settle_all(store: Store, *, now: datetime) -> int:
    """Post what rolls over where nothing becomes final any more that would do it; returns how many renewals."""
    async with store.transaction() as session:
        rows = await session.execute(
            select(Contract.customer_id)
            .join(TransitionRow, col(TransitionRow.contract_id) == Contract.id)
            .where(
                col(TransitionRow.settled_at).is_(None), TransitionRow.at <= now, col(Contract.archived_at).is_(None)
            )
            .distinct()
        )
        customers = sorted(rows.scalars())
    settled = 0
    for customer_id in customers:
        async with store.transaction() as session:
            await lock_family(session, customer_id)
            settled += await settle(session, customer_id, now=now)
    return settled
