"""The records of billing runs: what each had to do, and how far it is.

Owns `billing_runs` and what belongs to it. A contract is done in the transaction that makes its invoices, so a record
tells the truth at any moment, also after a kill; what a worker had not committed is open again at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.actor import Actor
from app.core.invoice import InvoiceType
from app.invoices import due, finding
from app.invoices.tables import BillingRun, BillingRunContract, BillingRunInvoice, Invoice
from app.store.bulk import insert_rows
from app.store.locks import lock_named

IS_OPEN = col(BillingRunContract.done_at).is_(None)


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: contracts in all, done and failed among those; the invoices made, and their totals by currency."""

    run: BillingRun
    total: int
    done: int
    failed: int
    worked_at: datetime | None
    invoices: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left."""
        return self.done == self.total

    @property
    def status(self) -> RunStatus:
        """FAILED when it is finished and some contract failed."""
        if self.is_finished:
            return RunStatus.FAILED if self.failed else RunStatus.SUCCEEDED
        return RunStatus.QUEUED if self.run.started_at is None else RunStatus.RUNNING


async def ask_for_runs(session: AsyncSession, *, actor: Actor, as_of: datetime, now: datetime) -> list[BillingRun]:
    """The runs that have to be worked on for everything that is due by `as_of` to become final, oldest first.

    Those are unfinished ones (a kill leaves one behind), and a new one for what is due and on none of them. Two who ask
    at once get the same runs.
    """
    await lock_named(session, "billing runs")
    of_run = select(col(BillingRunContract.run_id)).where(col(BillingRunContract.run_id) == BillingRun.id, IS_OPEN)
    rows = await session.execute(
        select(BillingRun).where(col(BillingRun.as_of) <= as_of, of_run.exists()).order_by(col(BillingRun.id))
    )
    runs = list(rows.scalars())
    contracts = await session.execute(
        select(col(BillingRunContract.contract_id)).where(col(BillingRunContract.run_id).in_([run.id for run in runs]))
    )
    covered = set(contracts.scalars())
    found = [item for item in await due.due_contracts(session, as_of=as_of) if item not in covered]
    return [*runs, *([await _new_run(session, found, actor=actor, as_of=as_of, now=now)] if found else [])]


async def _new_run(
    session: AsyncSession, contract_ids: Sequence[UUID], *, actor: Actor, as_of: datetime, now: datetime
) -> BillingRun:
    run = BillingRun(created_at=now, as_of=as_of, actor_kind=actor.kind, actor_name=actor.name)
    session.add(run)
    # What is missing of a customer's commit waits for the statements of other contracts, so those come again.
    again = await finding.contracts_with_shared_commits(session, contract_ids)
    items = [*((item, False) for item in contract_ids), *((item, True) for item in again)]
    rows = [
        {"run_id": run.id, "position": place, "contract_id": contract_id, "is_second": is_second}
        for place, (contract_id, is_second) in enumerate(items)
    ]
    await insert_rows(session, BillingRunContract, rows)
    return run


async def note_start(session: AsyncSession, run_id: UUID, *, now: datetime) -> BillingRun:
    """The run, begun."""
    begin = update(BillingRun).where(col(BillingRun.id) == run_id, col(BillingRun.started_at).is_(None))
    await session.execute(begin.values(started_at=now))
    return await session.get_one(BillingRun, run_id, populate_existing=True)


async def progress_of(session: AsyncSession, runs: Collection[BillingRun]) -> dict[UUID, Progress]:
    """How far each run is."""
    ids = [run.id for run in runs]
    counts = await session.execute(
        select(
            col(BillingRunContract.run_id),
            func.count(),
            func.count(col(BillingRunContract.done_at)),
            func.count(col(BillingRunContract.failure_code)),
            func.max(col(BillingRunContract.done_at)),
        )
        .where(col(BillingRunContract.run_id).in_(ids))
        .group_by(col(BillingRunContract.run_id))
    )
    counted = {row[0]: row for row in counts}
    made = await session.execute(
        select(
            col(BillingRunInvoice.run_id),
            col(Invoice.currency),
            func.count(),
            # What is put together of other invoices is counted with those.
            func.coalesce(func.sum(col(Invoice.total)).filter(col(Invoice.type) != InvoiceType.USAGE_CONSOLIDATED), 0),
        )
        .join(Invoice, col(Invoice.id) == BillingRunInvoice.invoice_id)
        .where(col(BillingRunInvoice.run_id).in_(ids))
        .group_by(col(BillingRunInvoice.run_id), col(Invoice.currency))
        .order_by(col(Invoice.currency))
    )
    totals: dict[UUID, dict[str, Decimal]] = {}
    invoices: dict[UUID, int] = {}
    for run_id, currency, count, total in made:
        totals.setdefault(run_id, {})[currency] = total
        invoices[run_id] = invoices.get(run_id, 0) + count
    found: dict[UUID, Progress] = {}
    for run in runs:
        _, total, done, failed, worked_at = counted[run.id]
        found[run.id] = Progress(run, total, done, failed, worked_at, invoices.get(run.id, 0), totals.get(run.id, {}))
    return found


async def failures_of(session: AsyncSession, run_id: UUID, *, limit: int) -> list[BillingRunContract]:
    """The first contracts of a run that failed, by position."""
    rows = await session.execute(
        select(BillingRunContract)
        .where(col(BillingRunContract.run_id) == run_id, col(BillingRunContract.failure_code).is_not(None))
        .order_by(col(BillingRunContract.position))
        .limit(limit)
    )
    return list(rows.scalars())
