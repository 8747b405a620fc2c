"""Notices that somebody asks for: to try an endpoint, made up to try what receives them, or once more.

Owns who is told of them. Endpoints themselves are in `endpoints.py`, and made-up content is in `samples.py`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.notices import kinds
from app.notices.endpoints import changeable_endpoint
from app.notices.samples import MADE_UP, sample_of
from app.notices.service import NoticeStatus, ask_to_send, emit, identified, task_of
from app.notices.tables import Notice, NoticeDelivery, WebhookEndpoint
from app.settings import Settings
from app.store import ids
from app.store.listening import tell


async def try_endpoint(session: AsyncSession, endpoint_id: UUID, *, now: datetime) -> Notice:
    """Tell one endpoint that it is tried. Errors: `NotFound`, ARCHIVED, ILLEGAL_TRANSITION while it is disabled."""
    row = await changeable_endpoint(session, endpoint_id)
    if not row.is_enabled:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION, "The endpoint is disabled; enable it first.", path=("id",), conflicting=row
        )
    told = {"endpointId": identified(webhook_endpoint=row.id)["webhook_endpointId"]}
    notice = emit(session, kinds.TEST, told, occurred_at=now, now=now, subject_id=row.id, to=row.id)
    await session.flush()
    note_change(session, "notice", notice.id, after={"type": notice.type})
    return notice


async def trigger(
    session: AsyncSession, settings: Settings, event_type: str, *, endpoint_id: UUID | None, now: datetime
) -> Notice:
    """Tell a made-up notice of a type: to one endpoint or, in a sandbox, to all that asked for it.

    Errors: INVALID, REQUIRED, `NotFound`, ARCHIVED.
    """
    if event_type not in kinds.TYPES:
        known = ", ".join(sorted(kinds.TYPES))
        raise InvalidInput(ErrorCode.INVALID, f"{event_type[:60]!r} is no event; known are {known}.", path=("type",))
    if endpoint_id is not None:
        await changeable_endpoint(session, endpoint_id, path=("endpointId",))
    elif not settings.is_sandbox:
        raise InvalidInput(
            ErrorCode.REQUIRED, "Name the endpoint: receivers in production take what is made up for true.",
            path=("endpointId",),
        )  # fmt: skip
    data = sample_of(event_type, now=now) | {"test": True}
    notice = emit(session, event_type, data, occurred_at=now, now=now, subject_id=MADE_UP, to=endpoint_id)
    await session.flush()
    note_change(session, "notice", notice.id, after={"type": notice.type, "test": True})
    return notice


async def resend(session: AsyncSession, notice_id: UUID, *, endpoint_id: UUID | None, now: datetime) -> Notice:
    """Tell a notice again, with its id: to the endpoints that it was for, archived ones aside, or to one, which need not
    be among them.

    Errors: `NotFound`, ARCHIVED.
    """
    notice = await session.get(Notice, notice_id)
    if notice is None:
        raise NotFound("Notice", ids.to_text("notice", notice_id), path=("id",))
    live = select(WebhookEndpoint.id).where(col(WebhookEndpoint.archived_at).is_(None))
    statement = select(NoticeDelivery).where(
        NoticeDelivery.notice_id == notice_id, col(NoticeDelivery.endpoint_id).in_(live)
    )
    if endpoint_id is not None:
        await changeable_endpoint(session, endpoint_id, path=("endpointId",))
        statement = statement.where(NoticeDelivery.endpoint_id == endpoint_id)
    tasks = list((await session.execute(statement.order_by(col(NoticeDelivery.id)).with_for_update())).scalars())
    if endpoint_id is not None and not tasks:
        tasks = [task_of(notice_id, endpoint_id, now=now)]
        session.add_all(tasks)
    for task in tasks:
        task.status, task.next_attempt_at, task.begun_at = NoticeStatus.PENDING, now, None
        task.delivered_at = None
        await ask_to_send(session, task.endpoint_id)
    await tell(session, "notice", notice_id)
    await session.flush()
    note_change(session, "notice", notice_id, after={"resent": len(tasks)})
    return notice
