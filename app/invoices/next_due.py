"""When something of a customer falls due next: whom a billing run must look at, found without opening every contract.

Owns `due_customers`, a bound for each customer before which nothing is due. The database notes every change of a row on
which that hangs, in the transaction of the change, and a customer with such a note is looked at whatever the bound says.
So a bound may be too early and is never too late. What is due is told by `open.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from uuid import UUID

from sqlalchemy import delete, or_, text, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.invoices.due_bounds import bounds_of
from app.invoices.tables import BillingRunContract, DueChange, DueCustomer
from app.store.arrays import among
from app.store.engine import Store
from app.store.locks import try_lock_named

BATCH = 500
"""Customers in one transaction."""
HORIZON = timedelta(days=35)
"""How far ahead is looked; a customer of whom nothing is due until then is looked at again."""


KEEP = """
insert into due_customers (customer_id, next_due_at, release)
select customer_id, next_due_at, :release
from unnest(cast(:customers as uuid[]), cast(:instants as timestamptz[])) found (customer_id, next_due_at)
on conflict (customer_id) do update set next_due_at = excluded.next_due_at, release = excluded.release
"""


async def customers_to_look_at(session: AsyncSession, *, as_of: datetime) -> set[UUID]:
    """The customers of whom something may be due by an instant; nothing is due of any other."""
    known = select(DueCustomer.customer_id)
    found = await session.execute(
        union(
            known.where(or_(col(DueCustomer.next_due_at) <= as_of, col(DueCustomer.release) != version("metrograph"))),
            select(DueChange.customer_id),
        )
    )
    return set(found.scalars())


async def look_ahead(store: Store, *, now: datetime, but_of: Collection[UUID] = ()) -> int:
    """Work out anew the bounds that have passed, and those of customers about whom something changed; returns how many.

    Customers of the runs `but_of` are left for later, since what becomes final of them moves their bounds again. Where
    somebody else is at it, nothing is done: notes that stay only mean that more is looked at.
    """
    async with store.transaction() as session:
        customers = sorted(await customers_to_look_at(session, as_of=now) - await _customers_of(session, but_of))
    done = 0
    for start in range(0, len(customers), BATCH):
        async with store.transaction() as session:
            # One at a time: a bound that was worked out earlier must not be written over one that saw more.
            if not await try_lock_named(session, "due customers"):
                break
            done += await _look_ahead(session, customers[start : start + BATCH], now=now)
    return done


async def _customers_of(session: AsyncSession, run_ids: Collection[UUID]) -> set[UUID]:
    of_runs = select(Contract.customer_id).join(BillingRunContract, col(BillingRunContract.contract_id) == Contract.id)
    found = await session.execute(of_runs.where(among(col(BillingRunContract.run_id), run_ids)).distinct())
    return set(found.scalars())


async def _look_ahead(session: AsyncSession, customer_ids: Sequence[UUID], *, now: datetime) -> int:
    # The notes go first: what is read after them holds what they were about, and later changes leave notes of their own.
    await session.execute(delete(DueChange).where(among(col(DueChange.customer_id), customer_ids)))
    rows = await session.execute(
        select(Contract)
        .where(among(col(Contract.customer_id), customer_ids), col(Contract.archived_at).is_(None))
        .order_by(col(Contract.id))
    )
    bounds = await bounds_of(session, rows.scalars().all(), horizon=now + HORIZON, broken=now)
    instants = [bounds.get(customer_id, now + HORIZON) for customer_id in customer_ids]
    await session.execute(
        text(KEEP), {"customers": customer_ids, "instants": instants, "release": version("metrograph")}
    )
    return len(customer_ids)
