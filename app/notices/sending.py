"""Brings notices to endpoints, at least once, outside of every transaction.

Owns what is due and in which order it is sent. What one try does is in `tries.py`, and who calls this in `senders.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import httpx
import structlog
from sqlalchemy import ColumnElement, exc
from sqlmodel import and_, col, select

from app.notices import posting, tries
from app.notices.service import NoticeStatus
from app.notices.tables import Notice, NoticeDelivery, WebhookEndpoint
from app.settings import Settings
from app.store.engine import Store
from app.store.locks import hold

log = structlog.get_logger("metrograph.notices")
BATCH, AT_ONCE, MAX_FAILURES = 40, 4, 4
"""Notices that are read together and sent at the same time, and failures after which an endpoint is left alone a while."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where notices are sent from."""

    store: Store
    settings: Settings
    clock: Callable[[], datetime]


async def due_endpoints(place: Place) -> list[UUID]:
    """The endpoints for which something is due now."""
    async with place.store.transaction() as session:
        found = await session.execute(
            select(NoticeDelivery.endpoint_id)
            .join(WebhookEndpoint, col(WebhookEndpoint.id) == NoticeDelivery.endpoint_id)
            .where(_due(place.clock()), col(WebhookEndpoint.is_enabled), col(WebhookEndpoint.archived_at).is_(None))
            .distinct()
        )
        return list(found.scalars())


async def send_due(place: Place, endpoint_id: UUID) -> int:
    """Send what is due to one endpoint, oldest first, until nothing is or until it fails; returns how many arrived.

    One process at a time sends to an endpoint. A kill between the call and its record repeats the notice, with its id.
    """
    async with hold(place.store, f"webhook:{endpoint_id}") as is_ours, posting.poster() as client:
        arrived, failed = 0, 0
        while is_ours and failed < MAX_FAILURES:
            found = await _due_batch(place, endpoint_id)
            if not found:
                break
            for start in range(0, len(found), AT_ONCE):
                # One that breaks leaves none of the others behind, which would go on when somebody else is at the endpoint.
                results = await asyncio.gather(
                    *(_try(place, client, task, notice) for task, notice in found[start : start + AT_ONCE]),
                    return_exceptions=True,
                )
                broken = [one for one in results if isinstance(one, BaseException)]
                if broken:
                    raise broken[0]
                arrived += results.count(True)
                failed = 0 if True in results else failed + len(results)
                if failed >= MAX_FAILURES:
                    break
        return arrived


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(col(NoticeDelivery.status) == NoticeStatus.PENDING, col(NoticeDelivery.next_attempt_at) <= now)


async def _due_batch(place: Place, endpoint_id: UUID) -> Sequence[tuple[NoticeDelivery, Notice]]:
    async with place.store.transaction() as session:
        endpoint = await session.get_one(WebhookEndpoint, endpoint_id)
        if not endpoint.is_enabled or endpoint.archived_at is not None:
            return []
        found = await session.execute(
            select(NoticeDelivery, Notice)
            .join(Notice, col(Notice.id) == NoticeDelivery.notice_id)
            .where(NoticeDelivery.endpoint_id == endpoint_id, _due(place.clock()))
            .order_by(col(NoticeDelivery.next_attempt_at), col(NoticeDelivery.id))
            .limit(BATCH)
        )
        return [(row[0], row[1]) for row in found]


async def _try(place: Place, client: httpx.AsyncClient, task: NoticeDelivery, notice: Notice) -> bool:
    async with place.store.transaction() as session:
        endpoint = await session.get_one(WebhookEndpoint, task.endpoint_id)
    if not endpoint.is_enabled or endpoint.archived_at is not None:
        # Somebody, or an answer to one of the same batch, wanted no more since the batch was read.
        return False
    answer = await tries.post_signed(client, endpoint, notice, place.settings, now=place.clock())
    try:
        async with place.store.transaction() as session:
            await tries.record(session, task.id, answer, now=place.clock())
    except exc.IntegrityError:
        # A sender that was broken off has recorded its own try meanwhile. That one stands; this is looked at again later.
        log.warning("notice recorded by another sender", delivery=str(task.id))
        return False
    return answer.is_success
