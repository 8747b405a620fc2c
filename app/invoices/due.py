"""Finds the contracts with statements that are due, and names the job that finalizes them.

Owns the search: only customers of whom something may be due are looked at, some hundred contracts at a time. When that is
told by `next_due.py`, what is open by `open.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.invoices import finding
from app.invoices.next_due import customers_to_look_at
from app.invoices.statements import order_of
from app.jobs.service import enqueue
from app.store.arrays import among

FINALIZE_JOB = "invoices.finalize"
CONTRACTS_PER_JOB = 100
MAX_JOBS = 16
"""Jobs of one run; each takes the next contract until none is left, so more of them only wait."""
CHUNK = 500
"""Contracts that are read at once."""


async def due_contracts(session: AsyncSession, *, as_of: datetime) -> list[UUID]:
    """Contracts with at least one statement that is due by `as_of`; by the oldest due time, then id."""
    return await due_among(session, await customers_to_look_at(session, as_of=as_of), as_of=as_of)


async def due_among(session: AsyncSession, customer_ids: Collection[UUID] | None, *, as_of: datetime) -> list[UUID]:
    """Those of some customers, or with None of all; this looks at each of their contracts."""
    running = select(Contract.id).where(col(Contract.archived_at).is_(None)).order_by(col(Contract.id))
    if customer_ids is not None:
        running = running.where(among(col(Contract.customer_id), customer_ids))
    contract_ids = list((await session.execute(running)).scalars())
    # A broken contract counts as due, so that the run reports it; those come first.
    order: dict[UUID, tuple[object, ...]] = {}
    for start in range(0, len(contract_ids), CHUNK):
        rows = await session.execute(
            select(Contract)
            .where(among(col(Contract.id), contract_ids[start : start + CHUNK]))
            .order_by(col(Contract.id))
        )
        found, broken = await finding.open_or_broken(session, rows.scalars().all(), now=as_of)
        order.update((contract_id, ()) for contract_id in broken)
        for statement in found:
            if statement.due_at <= as_of:
                order.setdefault(statement.contract.id, order_of(statement))
    return sorted(order, key=lambda contract_id: (order[contract_id], contract_id))


async def enqueue_run(session: AsyncSession, run_id: UUID, *, contracts: int) -> int:
    """Enqueue the jobs of a run; returns how many now wait that did not before."""
    jobs = 0
    for place in range(min(MAX_JOBS, -(-contracts // CONTRACTS_PER_JOB))):
        jobs += await enqueue(session, FINALIZE_JOB, {"run": str(run_id)}, once=f"finalize:{run_id}:{place}")
    return jobs
