"""Commits that wait for their payment: what was told of it, once.

Owns the outcome on the row, and that a failed payment stops the threshold that bought the commit (semantics 4.11). What
becomes of the invoice is decided above, in the invoices slice.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import and_, col

from app.change import note_change
from app.contracts.tables import ThresholdRow
from app.core.grants import GateStatus
from app.grants.reading import gate_of
from app.grants.shown import KINDS
from app.grants.tables import GrantRow
from app.jobs.service import enqueue

PAYMENTS_JOB = "payments.settle"
MAX_REASON = 500

IS_UNPAID: ColumnElement[bool] = and_(
    col(GrantRow.gate).is_not(None), col(GrantRow.gate_outcome).is_(None), col(GrantRow.archived_at).is_(None)
)
"""Condition on `GrantRow`: it waits for its payment."""


async def ask_to_collect(session: AsyncSession) -> None:
    """Ask for the invoices of commits that wait for their payment, soon."""
    await enqueue(session, PAYMENTS_JOB, once=PAYMENTS_JOB)


async def settle(session: AsyncSession, row: GrantRow, outcome: GateStatus, *, reason: str, now: datetime) -> None:
    """Write what became of the payment of a commit; the caller holds the customer's lock.

    A failed one disables the threshold that bought the commit, until somebody enables it again.
    """
    assert gate_of(row) is GateStatus.PENDING, "an outcome is written once"
    assert outcome is not GateStatus.PENDING, "an outcome is paid or failed"
    row.gate_outcome, row.gate_settled_at, row.gate_reason = outcome, now, reason[:MAX_REASON]
    row.revision += 1
    if outcome is GateStatus.FAILED and row.threshold_id is not None:
        threshold = await session.get_one(ThresholdRow, row.threshold_id)
        threshold.is_enabled, threshold.stopped_because = False, reason[:MAX_REASON]
    await session.flush()
    note_change(
        session, KINDS[row.type], row.id, before={"payment": GateStatus.PENDING},
        after={"payment": outcome, "reason": row.gate_reason},
    )  # fmt: skip
