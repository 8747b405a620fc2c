"""Makes reconciliations that were asked for, and by itself those of each complete day.

Owns when they are made and what is kept of them; the comparison is in `reconciling.py`. It only reads at the provider, so
it may be repeated; the row that asks for it is committed before, and one whose provider did not answer is tried again by
the next night.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, func, select

from app.core import money
from app.core.period import Period
from app.delivery import reconciliations, reconciling
from app.delivery.reconciliation import Reconciliation
from app.delivery.reconciliations import State
from app.delivery.registry import Connection, Connections
from app.delivery.tables import ReconciliationDifference, ReconciliationRow
from app.store import engine, ids, locks

log = structlog.get_logger("metrograph.delivery")

NIGHTLY_JOB = "delivery.reconcile_nightly"
NIGHTS = 7
"""How many complete days are looked at: an outage of a week leaves no day out."""
MAX_KEPT = 10_000
"""Differences of one reconciliation that are kept; all are counted."""


async def carry_out(
    store: engine.Store, connections: Connections, identifier: UUID, *, clock: Callable[[], datetime]
) -> State | None:
    """Compare, and keep what came of it; None when it was done already, or its account is configured no more."""
    async with store.transaction() as session:
        row = await session.get_one(ReconciliationRow, identifier)
        connection = connections.find(row.connection)
        period = Period(row.starting_at.astimezone(UTC), row.ending_before.astimezone(UTC))
        if row.state == State.DONE or connection is None:
            return None
    found = await reconciling.reconcile(store, connection, period, clock=clock)
    async with store.transaction() as session:
        row = await session.get_one(ReconciliationRow, identifier, with_for_update=True)
        if row.state == State.DONE:
            return None
        await _keep(session, row, found, now=clock())
        return State(row.state)


async def reconcile_nightly(store: engine.Store, connections: Connections, *, clock: Callable[[], datetime]) -> int:
    """Compare every account for each of the last complete days that was not compared whole; returns how many were."""
    done = 0
    for connection in connections.all():
        async with locks.hold(store, f"reconcile:{connection.name}") as is_ours:
            if is_ours:
                done += await _catch_up(store, connections, connection, clock=clock)
    return done


async def _catch_up(
    store: engine.Store, connections: Connections, connection: Connection, *, clock: Callable[[], datetime]
) -> int:
    today = clock().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [Period(today - timedelta(days=ago), today - timedelta(days=ago - 1)) for ago in range(NIGHTS, 0, -1)]
    is_nightly = (ReconciliationRow.connection == connection.name, col(ReconciliationRow.is_scheduled))
    async with store.transaction() as session:
        rows = await session.scalars(
            select(ReconciliationRow).where(*is_nightly, ReconciliationRow.starting_at >= days[0].starting_at)
        )
        known = {row.starting_at.astimezone(UTC): row for row in rows}
        first = (await session.execute(select(func.min(ReconciliationRow.starting_at)).where(*is_nightly))).scalar_one()
        # An account that is new has no days before it to catch up with.
        since = days[-1].starting_at if first is None else first.astimezone(UTC)
        missing = [day for day in days if day.starting_at >= since and day.starting_at not in known]
        made = [reconciliations.asked(connection, day, is_scheduled=True, now=clock()) for day in missing]
        session.add_all(made)
        await session.flush()
        waiting = sorted((row.starting_at, row.id) for row in [*known.values(), *made] if row.state != State.DONE)
    done = 0
    for _, identifier in waiting:
        state = await carry_out(store, connections, identifier, clock=clock)
        if state is not State.DONE:
            break  # What does not answer now is not asked seven times.
        done += 1
    return done


async def _keep(session: AsyncSession, row: ReconciliationRow, found: Reconciliation, *, now: datetime) -> None:
    await session.execute(
        delete(ReconciliationDifference).where(col(ReconciliationDifference.reconciliation_id) == row.id)
    )
    row.state, row.finished_at = State.UNREAD if found.is_unread else State.DONE, now
    row.compared, row.not_ours, row.problem = found.compared, found.foreign, found.problem
    row.ours, row.theirs = _sums(found.ours), _sums(found.theirs)
    row.difference_count = len(found.discrepancies)
    session.add_all(
        ReconciliationDifference(
            reconciliation_id=row.id, position=position, reason=item.reason, reference=item.reference[:255],
            provider_references=list(item.provider_references[:100]), ours=item.ours, theirs=item.theirs,
            currency=item.currency,
        )
        for position, item in enumerate(found.discrepancies[:MAX_KEPT])
    )  # fmt: skip
    await session.flush()
    if found.discrepancies or found.is_unread:
        log.warning(
            "books differ from the provider's" if found.discrepancies else "books not compared",
            connection=row.connection, reconciliation=ids.to_text("reconciliation", row.id), day=f"{row.starting_at:%Y-%m-%d}",
            differences=row.difference_count, problem=row.problem,
        )  # fmt: skip


def _sums(sums: Mapping[str | None, Decimal]) -> dict[str, str]:
    return {currency or "units": money.canonical(amount) for currency, amount in sums.items()}
