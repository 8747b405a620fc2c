"""Makes the commits and credits that recurring ones stand for, each when its period begins.

Owns which are missing. What was made is never made again and never changed by its term (golden decision 32), so it is safe
to ask at any time: at the start of every hour, and before anything of a contract becomes final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.contracts.linked_children import make_linked
from app.contracts.new_children import make_child
from app.contracts.recurring_terms import recurring_of
from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.recurring import children
from app.grants.tables import GrantRow, RecurringGrantRow
from app.store.arrays import among
from app.store.engine import Store
from app.store.locks import lock_customer


async def make_children(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> int:
    """Make the children whose period began by now and that are not there yet; the caller holds the customers' locks.

    One is made as of the instant at which its period began. Gives how many were made, entries for seats among them.
    """
    running = {contract.id: contract for contract in contracts if contract.archived_at is None}
    rows = await session.execute(
        select(RecurringGrantRow)
        .where(among(col(RecurringGrantRow.contract_id), running), col(RecurringGrantRow.archived_at).is_(None))
        .order_by(col(RecurringGrantRow.id))
    )
    made = 0
    for row in rows.scalars().all():
        contract = running[row.contract_id]
        if row.subscription_id is not None:
            made += await make_linked(session, contract, row, now=now)
            continue
        last = select(func.max(GrantRow.recurring_number)).where(GrantRow.recurring_id == row.id)
        done = (await session.execute(last)).scalar_one() or 0
        found = children(recurring_of(row), schedule_of(contract), contract=contract_period(contract), begun_by=now)
        for child in found:
            if child.number > done:
                await make_child(session, contract, row, child)
                made += 1
    return made


async def make_all_children(store: Store, *, now: datetime) -> int:
    """The children of all contracts whose period began by now, customer by customer; returns how many were made."""
    async with store.transaction() as session:
        rows = await session.execute(
            select(Contract.customer_id)
            .join(RecurringGrantRow, col(RecurringGrantRow.contract_id) == Contract.id)
            .where(col(RecurringGrantRow.archived_at).is_(None), col(Contract.archived_at).is_(None))
            .distinct()
        )
        customers = sorted(rows.scalars())
    made = 0
    for customer_id in customers:
        async with store.transaction() as session:
            await lock_customer(session, customer_id)
            contracts = await session.execute(select(Contract).where(Contract.customer_id == customer_id))
            made += await make_children(session, contracts.scalars().all(), now=now)
    return made
