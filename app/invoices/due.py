"""Cuts a billing run into jobs.

Owns the size of a job and its name. A run of a month's end is a few hundred jobs instead of one that nobody can stop, or
of one for each contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs.service import enqueue

FINALIZE_JOB = "invoices.finalize"
BATCH = 100
"""Contracts in one job."""


async def enqueue_due(session: AsyncSession, contract_ids: Sequence[UUID], *, as_of: datetime | None = None) -> int:
    """Enqueue the finalization of these contracts in batches; returns how many jobs now wait that did not before."""
    jobs = 0
    for start in range(0, len(contract_ids), BATCH):
        batch = [str(contract_id) for contract_id in contract_ids[start : start + BATCH]]
        until = {} if as_of is None else {"as_of": as_of.isoformat()}
        jobs += await enqueue(session, FINALIZE_JOB, {"contracts": batch, **until}, once=f"finalize:{batch[0]}")
    return jobs
