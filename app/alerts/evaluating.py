"""Looks at the alerts of a customer: reads, judges, and writes states, transitions and notices in one transaction.

Owns that a crossing is told once, whoever looks and however often: it happens under the customer's lock, and what was
noted to be looked at goes in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, or_, select

from app.alerts import readings, tables, telling
from app.alerts.snapshot import Snapshot
from app.alerts.subjects import rule_of, subject_of, text_of_subject
from app.contracts.family import lock_family
from app.core.alerts import WHOLE, AlertState, Change, Reading, Told, judge
from app.customers.tables import Customer
from app.errors import Unavailable
from app.store.engine import Store

log = structlog.get_logger("metrograph.alerts")
LIMIT = 10_000
"""Notes that are taken together; many of them are of one customer."""


async def evaluate_touched(store: Store, *, now: datetime, up_to: int | None = None) -> int:
    """Look at the customers of whom something was noted, `up_to` a note or at all; returns how many.

    Of one whom others hold too long the notes stay for the next time. Of one that cannot be looked at by our own mistake
    they go all the same: the next change, or the daily look, tries again.
    """
    wanted = (
        select(tables.AlertTouch.id, tables.AlertTouch.customer_id).order_by(col(tables.AlertTouch.id)).limit(LIMIT)
    )
    if up_to is not None:
        wanted = wanted.where(col(tables.AlertTouch.id) <= up_to)
    async with store.transaction() as session:
        noted = (await session.execute(wanted)).all()
    by_customer: dict[UUID, list[int]] = {}
    for identifier, customer_id in noted:
        by_customer.setdefault(customer_id, []).append(identifier)
    done = 0
    for customer_id, touches in by_customer.items():
        try:
            async with store.transaction() as session:
                await evaluate(session, customer_id, now=now)
                await _forget(session, touches)
        except Unavailable as busy:
            log.info("alerts evaluated later", customer=str(customer_id), reason=busy.message)
            continue
        except Exception:
            log.exception("alerts not evaluated", customer=str(customer_id))
            async with store.transaction() as session:
                await _forget(session, touches)
        done += 1
    return done


async def evaluate(session: AsyncSession, customer_id: UUID, *, now: datetime) -> int:
    """Look at the alerts of one customer; returns how many drafts were rated for it."""
    await lock_family(session, customer_id)
    customer = await session.get(Customer, customer_id)
    if customer is None or customer.archived_at is not None:
        return 0
    snapshot = Snapshot(session, customer_id, now)
    known = await _states(session, customer_id)
    for row in await _alerts(session, customer_id):
        found = await readings.read(snapshot, row)
        stored = known.get(row.id, {})
        before = {subject_of(text): AlertState(state.state) for text, state in stored.items()}
        changes = judge(rule_of(row), before, found)
        for change in changes:
            await _write(session, row, customer_id, stored, change, now=now)
        _refresh(stored, found)
    await session.flush()
    return snapshot.rated


async def _alerts(session: AsyncSession, customer_id: UUID) -> Sequence[tables.AlertRow]:
    rows = await session.execute(
        select(tables.AlertRow)
        .where(
            col(tables.AlertRow.archived_at).is_(None),
            col(tables.AlertRow.disabled_at).is_(None),
            or_(col(tables.AlertRow.customer_id).is_(None), col(tables.AlertRow.customer_id) == customer_id),
        )
        .order_by(col(tables.AlertRow.id))
    )
    return rows.scalars().all()


async def _states(session: AsyncSession, customer_id: UUID) -> dict[UUID, dict[str, tables.AlertStateRow]]:
    """Alert -> subject -> its row."""
    rows = await session.execute(select(tables.AlertStateRow).where(tables.AlertStateRow.customer_id == customer_id))
    found: dict[UUID, dict[str, tables.AlertStateRow]] = {}
    for row in rows.scalars():
        found.setdefault(row.alert_id, {})[row.subject] = row
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


async def _forget(session: AsyncSession, touches: Sequence[int]) -> None:
    await session.execute(delete(tables.AlertTouch).where(col(tables.AlertTouch.id).in_(touches)))
