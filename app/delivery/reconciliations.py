"""Reconciliations that are asked for; each is a row, and a job makes it.

Owns the request and its refusals. How they are made, by themselves every night too, is in `reconciliation_runs.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.core.period import Period
from app.delivery.connections import account
from app.delivery.registry import Connection
from app.delivery.tables import ReconciliationRow
from app.errors import ErrorCode, InvalidInput
from app.jobs.service import enqueue
from app.providers import ProviderDirectory

RECONCILE_JOB = "delivery.reconcile"
LONGEST = timedelta(days=366)


class State(StrEnum):
    """Where a reconciliation stands."""

    REQUESTED = "REQUESTED"
    DONE = "DONE"
    UNREAD = "UNREAD"


async def ask_for(
    session: AsyncSession, directory: ProviderDirectory, name: str, period: Period, *, now: datetime
) -> ReconciliationRow:
    """Ask for the comparison of an account over a period of the past; a job makes it. Errors: `NotFound`, INVALID_INTERVAL."""
    connection = account(directory, name)
    end = period.ending_before
    if end is None or end - period.starting_at > LONGEST or period.starting_at > now:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"A reconciliation begins before now ({now:%Y-%m-%dT%H:%MZ}) and spans {LONGEST.days} days at most.",
            path=("input", "interval"),
        )
    row = asked(connection, period, now=now)
    session.add(row)
    await session.flush()
    await enqueue(session, RECONCILE_JOB, {"reconciliation": str(row.id)})
    note_change(
        session, "reconciliation", row.id,
        after={"connection": name, "startingAt": period.starting_at.isoformat(), "endingBefore": end.isoformat()},
    )  # fmt: skip
    return row


def asked(connection: Connection, period: Period, *, is_scheduled: bool = False, now: datetime) -> ReconciliationRow:
    """The row of a comparison that is to be made."""
    assert period.ending_before is not None, "a period to reconcile has an end"
    return ReconciliationRow(
        created_at=now, provider=connection.provider, connection=connection.name, starting_at=period.starting_at,
        ending_before=period.ending_before, is_scheduled=is_scheduled, state=State.REQUESTED,
    )  # fmt: skip
