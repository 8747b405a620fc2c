"""The nightly look through what providers keep of their notices, so that none is missed for good.

Owns how far back it looks and where it goes on. A notice that came as a webhook is known by its id; one that was missed is
taken in like any other. What lies further back than the provider keeps is made up for by reading every open invoice back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.period import Period
from app.delivery.inbound import Place, Way, forget_old, receive
from app.delivery.registry import Connection
from app.delivery.states import SETTLED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery, NoticeCursor
from app.store.locks import hold
from connectors.base import KeepsNotices, Notification, Terminal, Transient

log = structlog.get_logger("metrograph.inbound")

SWEEP_JOB = "notices.missed"
OVERLAP = timedelta(hours=1)
"""Looked at again, since a list may lag behind."""
STEP = timedelta(hours=6)
"""Each stretch is committed by itself, so a sweep that breaks off goes on where it was."""


async def sweep_notices(place: Place) -> int:
    """Take in what was missed at every provider that keeps its notices; returns how many were new.

    A provider that does not answer ends its own sweep; the next one goes on from there.
    """
    missed = 0
    for connection in place.connections.all():
        if connection.capabilities.notices_kept is None:
            continue
        async with hold(place.store, f"notices:{connection.name}") as is_ours:
            if is_ours:
                missed += await _swept(place, connection, connection.capabilities.notices_kept)
    async with place.store.transaction() as session:
        await forget_old(session, now=place.clock())
    return missed


async def _swept(place: Place, connection: Connection, kept: timedelta) -> int:
    now = place.clock()
    async with place.store.transaction() as session:
        cursor = await session.get(NoticeCursor, connection.name)
        missed = 0
        if cursor is None or cursor.swept_until < now - kept:
            missed += await _read_all_back(session, connection, now=now)
        # A minute less than is kept: what is at the very end may be gone when it is asked for.
        start = now - kept + timedelta(minutes=1)
        start = start if cursor is None else max(start, cursor.swept_until - OVERLAP)
    while start < now:
        stretch = Period(start, min(start + STEP, now))
        try:
            found = await cast("KeepsNotices", connection.connector).notices(stretch)
        except (Transient, Terminal) as failure:
            log.warning("notices not listed", connection=connection.name, reason=failure.message)
            return missed
        assert stretch.ending_before is not None
        start = stretch.ending_before
        async with place.store.transaction() as session:
            for notice in found:
                missed += await receive(session, connection, notice, way=Way.SWEEP, now=now)
            await session.merge(NoticeCursor(connection=connection.name, swept_until=start))
    return missed


async def _read_all_back(session: AsyncSession, connection: Connection, *, now: datetime) -> int:
    """Ask for every invoice whose state may have changed while nobody listened; a notice of our own for each."""
    found = await session.execute(
        select(Delivery.provider_reference)
        .where(
            Delivery.connection == connection.name,
            Delivery.mode == "invoice",
            Delivery.status == DeliveryStatus.DELIVERED,
            col(Delivery.provider_reference).is_not(None),
            col(Delivery.provider_status).not_in(SETTLED_AT_PROVIDER),
        )
        .order_by(col(Delivery.id))
    )
    asked = 0
    for reference in found.scalars():
        notice = Notification(
            event_id=f"{now:%Y-%m-%d}:{reference}", kind="metrograph.read_back", occurred_at=now,
            provider_reference=reference,
        )  # fmt: skip
        asked += await receive(session, connection, notice, way=Way.SWEEP, now=now)
    return asked
