"""One try at telling an endpoint: signed anew, posted, and recorded with what follows from the answer.

Owns what an answer means and when it is tried again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.core.retry import wait_before
from app.core.signing import signed
from app.failpoints import reached
from app.notices import posting, secrets
from app.notices.service import NoticeStatus, body_of
from app.notices.tables import Notice, NoticeAttempt, NoticeDelivery, WebhookEndpoint
from app.settings import Settings
from app.store.ids import to_text

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
GIVEN_UP_AFTER = timedelta(hours=72)
"""From the first try on; about 300 tries."""
GONE = 410


async def post_signed(
    client: httpx.AsyncClient, endpoint: WebhookEndpoint, notice: Notice, settings: Settings, *, now: datetime
) -> posting.Answer:
    """Post a notice with the time and the signatures of this try."""
    try:
        keys = secrets.keys_of(endpoint, settings, now=now)
    except secrets.Unreadable:
        return posting.Answer(None, None, "The secret was sealed under another METROGRAPH_SECRET_KEY; rotate it.", 0)
    body = body_of(notice, environment=settings.environment)
    headers = signed(body, message_id=to_text("notice", notice.id), now=now, keys=keys)
    reached("notice.before_call")
    answer = await posting.post(client, endpoint.url, body, headers, allow_private=settings.allow_private_webhooks)
    reached("notice.called")
    return answer


async def record(session: AsyncSession, task_id: UUID, answer: posting.Answer, *, now: datetime) -> None:
    """Keep what came of a try, and decide when the next one is."""
    task = await session.get_one(NoticeDelivery, task_id, with_for_update=True)
    # Counted in the log itself, so that no number is ever taken twice.
    last = await session.scalar(select(func.max(NoticeAttempt.number)).where(NoticeAttempt.delivery_id == task_id))
    task.attempts = (last or 0) + 1
    task.begun_at = task.begun_at or now
    session.add(
        NoticeAttempt(
            created_at=now, delivery_id=task_id, number=task.attempts, status_code=answer.status_code,
            error=answer.error, answer=answer.text or None, milliseconds=answer.milliseconds,
        )
    )  # fmt: skip
    if task.status != NoticeStatus.PENDING:
        return
    if answer.is_success:
        task.status, task.next_attempt_at, task.delivered_at = NoticeStatus.DELIVERED, None, now
        return
    if answer.status_code == GONE:
        endpoint = await session.get_one(WebhookEndpoint, task.endpoint_id, with_for_update=True)
        endpoint.is_enabled, endpoint.disabled_at = False, now
        endpoint.disabled_because = "The receiver answered 410: it wants no more notices."
    wait = wait_before(task.attempts + 1, seed=str(task.id), first=FIRST_WAIT, cap=LONGEST_WAIT)
    if now + wait > task.begun_at + GIVEN_UP_AFTER:
        task.status, task.next_attempt_at = NoticeStatus.FAILED, None
    else:
        task.next_attempt_at = now + wait
