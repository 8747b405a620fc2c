"""Says that something happened, in the transaction in which it happens.

Owns the notice, and its way to each endpoint that asked for it: both are rows of that transaction, and so is the job that
sends. What was undone, by a savepoint or whole, was never said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlmodel import col, select

from app.jobs.service import enqueue
from app.notices.beside import add_custom_fields
from app.notices.kinds import is_selected
from app.notices.tables import Notice, NoticeDelivery, WebhookEndpoint
from app.store.engine import before_commit
from app.store.ids import new_id, to_text

SEND_JOB = "notices.send"
_KEY = "metrograph.notices"


class NoticeStatus(StrEnum):
    """Where a notice stands with one endpoint."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


def emit(
    session: AsyncSession | Session,
    event_type: str,
    data: Mapping[str, Any],
    *,
    occurred_at: datetime,
    now: datetime,
    subject_id: UUID,
    customer_id: UUID | None = None,
    contract_id: UUID | None = None,
    once: str | None = None,
    to: UUID | None = None,
) -> Notice:
    """Say that something happened; the same of one object is said once in a transaction.

    `once` is a key that makes a second saying an error of the database, ever. `to` is the only endpoint to hear it.
    """
    said: dict[tuple[object, ...], tuple[Notice, UUID | None]] = session.info.setdefault(_KEY, {})
    key = (event_type, subject_id, once, to)
    if key in said and said[key][0] in session:
        return said[key][0]
    columns = {
        "id": new_id(), "created_at": now, "type": event_type, "occurred_at": occurred_at, "subject_id": subject_id,
        "customer_id": customer_id, "contract_id": contract_id, "data": dict(data), "once": once,
    }  # fmt: skip
    notice = Notice.of_columns(columns)
    session.add(notice)
    said[key] = notice, to
    before_commit(session, _KEY, _fan_out)
    return notice


def body_of(notice: Notice, *, environment: str) -> bytes:
    """What is sent: the same bytes in every try."""
    content = {
        "type": notice.type,
        "timestamp": written(notice.occurred_at),
        "data": {**notice.data, "environment": environment},
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def written(instant: datetime | None) -> str | None:
    """An instant as the API writes it."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def identified(**found: UUID | None) -> dict[str, str | None]:
    """Ids as callers know them: `identified(invoice=..., contract=...)` gives invoiceId and contractId."""
    return {f"{kind}Id": None if value is None else to_text(kind, value) for kind, value in found.items()}


async def _fan_out(session: AsyncSession) -> None:
    """Give each endpoint that asked for it its task, and wake its sender."""
    said: dict[tuple[object, ...], tuple[Notice, UUID | None]] = session.info.pop(_KEY, {})
    notices = [(notice, to) for notice, to in said.values() if notice in session]
    if not notices:
        return
    await add_custom_fields(session, [notice for notice, _ in notices])
    endpoints = (
        await session.execute(
            select(WebhookEndpoint)
            .where(col(WebhookEndpoint.is_enabled), col(WebhookEndpoint.archived_at).is_(None))
            .order_by(col(WebhookEndpoint.id))
        )
    ).scalars()
    for endpoint in endpoints.all():
        wanted = [
            notice
            for notice, to in notices
            if to == endpoint.id or (to is None and is_selected(endpoint.event_types, notice.type))
        ]
        session.add_all(task_of(notice.id, endpoint.id, now=notice.created_at) for notice in wanted)
        if wanted:
            await ask_to_send(session, endpoint.id)


def task_of(notice_id: UUID, endpoint_id: UUID, *, now: datetime) -> NoticeDelivery:
    """The task of telling an endpoint, due at once."""
    return NoticeDelivery(
        created_at=now, notice_id=notice_id, endpoint_id=endpoint_id, status=NoticeStatus.PENDING, next_attempt_at=now
    )


async def ask_to_send(session: AsyncSession, endpoint_id: UUID) -> None:
    """Have an endpoint told soon of what waits for it."""
    await enqueue(session, SEND_JOB, {"endpoint": str(endpoint_id)}, once=f"{SEND_JOB}:{endpoint_id}")
