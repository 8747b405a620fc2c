"""Looks at the alerts of customers: reads, judges, and writes states, transitions and notices in one transaction.

Owns that a crossing is told once, whoever looks and however often: it happens under the customers' locks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.alerts import readings, tables, telling
from app.alerts.snapshot import Snapshot, Together
from app.alerts.subjects import rule_of, subject_of, text_of_subject
from app.contracts.family import lock_family
from app.core.alerts import WHOLE, AlertState, Change, Reading, Told, judge
from app.customers.tables import Customer
from app.store.arrays import among


async def evaluate(session: AsyncSession, *customer_ids: UUID, now: datetime) -> int:
    """Look at the alerts of some customers; returns how many drafts were rated for it."""
    await lock_family(session, *customer_ids)
    archived = col(Customer.archived_at)
    living = sorted(
        await session.scalars(select(Customer.id).where(among(col(Customer.id), customer_ids), archived.is_(None)))
    )
    together = Together(session, living, now)
    known, alerts = await _states(session, living), await _alerts(session, living)
    for customer_id in living:
        snapshot = Snapshot(together, customer_id)
        for row in alerts:
            if row.customer_id not in (None, customer_id):
                continue
            found = await readings.read(snapshot, row)
            stored = known.get((customer_id, row.id), {})
            before = {subject_of(text): AlertState(state.state) for text, state in stored.items()}
            for change in judge(rule_of(row), before, found):
                await _write(session, row, customer_id, stored, change, now=now)
            _refresh(stored, found)
    await session.flush()
    return together.rated


async def _alerts(session: AsyncSession, customer_ids: Collection[UUID]) -> Sequence[tables.AlertRow]:
    rows = await session.execute(
        select(tables.AlertRow)
        .where(
            col(tables.AlertRow.archived_at).is_(None),
            col(tables.AlertRow.disabled_at).is_(None),
            or_(col(tables.AlertRow.customer_id).is_(None), among(col(tables.AlertRow.customer_id), customer_ids)),
        )
        .order_by(col(tables.AlertRow.id))
    )
    return rows.scalars().all()


async def _states(
    session: AsyncSession, customer_ids: Collection[UUID]
) -> dict[tuple[UUID, UUID], dict[str, tables.AlertStateRow]]:
    """Customer and alert -> subject -> its row."""
    rows = await session.execute(
        select(tables.AlertStateRow).where(among(col(tables.AlertStateRow.customer_id), customer_ids))
    )
    found: dict[tuple[UUID, UUID], dict[str, tables.AlertStateRow]] = {}
    for row in rows.scalars():
        found.setdefault((row.customer_id, row.alert_id), {})[row.subject] = row
    return found


async def _write(
    session: AsyncSession,
    row: tables.AlertRow,
    customer_id: UUID,
    stored: dict[str, tables.AlertStateRow],
    change: Change,
    *,
    now: datetime,
) -> None:
    subject = text_of_subject(change.subject)
    state = stored.get(subject)
    if state is None:
        state = tables.AlertStateRow(
            alert_id=row.id, customer_id=customer_id, subject=subject, state=change.after, since=now
        )
        session.add(state)
        stored[subject] = state
    state.state, state.since, state.value, state.triggered_by = change.after, now, change.value, change.triggered_by
    state.resolved_at = now if change.before is AlertState.IN_ALARM else None
    transition = tables.AlertTransitionRow(
        created_at=now, alert_id=row.id, customer_id=customer_id, subject=subject, before=change.before,
        after=change.after, value=change.value, triggered_by=change.triggered_by,
        told=None if change.told is None else Told(change.told),
    )  # fmt: skip
    session.add(transition)
    if change.told is not None:
        telling.tell(session, row, transition, change.told, now=now)


def _refresh(stored: dict[str, tables.AlertStateRow], found: Sequence[Reading]) -> None:
    """States show the latest reading, also where nothing changed."""
    by_subject: dict[str, Decimal] = {text_of_subject(reading.subject): reading.value for reading in found}
    for subject, state in stored.items():
        value = by_subject.get(subject)
        if subject != text_of_subject(WHOLE) or value is not None:
            state.value = value
