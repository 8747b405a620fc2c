"""Looks at the customers of whom something was noted, some of them together.

Owns what becomes of the notes: they go in the transaction that looked, or stay. One customer stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from app.alerts import evaluating, tables
from app.errors import Unavailable
from app.store.arrays import among
from app.store.engine import Store

log = structlog.get_logger("metrograph.alerts")
AT_ONCE = 25
"""Customers in one transaction: enough for what is read for all of them to cost each little, and their locks are held short."""
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
    done, waiting = 0, list(by_customer.items())
    for first in range(0, len(waiting), AT_ONCE):
        together = dict(waiting[first : first + AT_ONCE])
        if len(together) > 1 and await _evaluated(store, together, now=now):
            done += len(together)
        else:
            done += sum([await _evaluated_alone(store, *one, now=now) for one in together.items()])
    return done


async def _evaluated(store: Store, noted: Mapping[UUID, Sequence[int]], *, now: datetime) -> bool:
    """Look at several customers in one transaction; False when one of them stops it, and each is to be looked at alone."""
    try:
        async with store.transaction() as session:
            await evaluating.evaluate(session, *noted, now=now)
            await _forget(session, [touch for touches in noted.values() for touch in touches])
    except Exception as failure:
        _go_on_unless_stopped()
        log.info("alerts evaluated one by one", customers=len(noted), reason=repr(failure)[:200])
        return False
    return True


async def _evaluated_alone(store: Store, customer_id: UUID, touches: Sequence[int], *, now: datetime) -> bool:
    try:
        async with store.transaction() as session:
            await evaluating.evaluate(session, customer_id, now=now)
            await _forget(session, touches)
    except Unavailable as busy:
        log.info("alerts evaluated later", customer=str(customer_id), reason=busy.message)
        return False
    except Exception:
        _go_on_unless_stopped()
        log.exception("alerts not evaluated", customer=str(customer_id))
        async with store.transaction() as session:
            await _forget(session, touches)
    return True


def _go_on_unless_stopped() -> None:
    """A worker that is stopped may meet a broken connection instead of its cancellation: that is nobody's mistake."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _forget(session: AsyncSession, touches: Sequence[int]) -> None:
    await session.execute(delete(tables.AlertTouch).where(among(col(tables.AlertTouch.id), touches)))
