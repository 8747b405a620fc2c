"""Webhook endpoints: made, changed, given another secret, archived.

Owns what one may say about an endpoint. Which events there are is in `kinds.py`, sending is in `sending.py`, and what
somebody asks to be sent in `asking.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.change import note_change
from app.checks import name_of, within
from app.core.targets import RefusedTarget, target_of
from app.errors import ErrorCode, InvalidInput, InvalidState, LimitExceeded, NotFound
from app.notices import kinds, secrets
from app.notices.service import ask_to_send
from app.notices.tables import WebhookEndpoint
from app.settings import Settings
from app.store import ids, unique

MAX_ENDPOINTS = 50
MAX_OVERLAP_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class WithSecret:
    """An endpoint, and the secret that is told here and never again."""

    row: WebhookEndpoint
    secret: str


async def create_endpoint(
    session: AsyncSession,
    settings: Settings,
    *,
    url: str,
    event_types: Collection[str] = (),
    description: str | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> WithSecret:
    """A new endpoint, which is told of what happens from now on. Errors: INVALID, LIMIT_EXCEEDED, `Conflict`."""
    live = select(func.count()).select_from(WebhookEndpoint).where(col(WebhookEndpoint.archived_at).is_(None))
    if (await session.execute(live)).scalar_one() >= MAX_ENDPOINTS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"There are {MAX_ENDPOINTS} endpoints; archive one first.", path=("input", "url")
        )
    secret = secrets.new_secret()
    row = WebhookEndpoint(
        created_at=now, url=_checked(url, settings), description=_described(description),
        event_types=kinds.selection(event_types, path=("input", "eventTypes")),
        sealed_secret=secrets.sealed(secret, settings), uniqueness_key=uniqueness_key,
    )  # fmt: skip
    async with unique.once(session, WebhookEndpoint, uniqueness_key):
        session.add(row)
        await session.flush()
    note_change(session, "webhook_endpoint", row.id, after=_shown(row))
    return WithSecret(row, secret)


async def update_endpoint(
    session: AsyncSession,
    settings: Settings,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    event_types: Collection[str] | None = None,
    description: str | None = None,
    is_enabled: bool | None = None,
    now: datetime,
) -> WebhookEndpoint:
    """Change what is given. What waited while it was disabled is sent once it is enabled again.

    Errors: `NotFound`, ARCHIVED, INVALID.
    """
    row = await changeable_endpoint(session, endpoint_id)
    before = _shown(row)
    if url is not None:
        row.url = _checked(url, settings)
    if event_types is not None:
        row.event_types = kinds.selection(event_types, path=("input", "eventTypes"))
    if description is not None:
        row.description = _described(description)
    if is_enabled is not None and is_enabled is not row.is_enabled:
        row.is_enabled = is_enabled
        row.disabled_at = None if is_enabled else now
        row.disabled_because = None if is_enabled else "Disabled by hand."
    await session.flush()
    if row.is_enabled:
        await ask_to_send(session, row.id)
    note_change(session, "webhook_endpoint", row.id, before=before, after=_shown(row))
    return row


async def rotate_secret(
    session: AsyncSession, settings: Settings, endpoint_id: UUID, *, overlap_hours: int, now: datetime
) -> WithSecret:
    """Give an endpoint another secret; the one before signs as well for some hours. Errors: `NotFound`, ARCHIVED, INVALID."""
    row = await changeable_endpoint(session, endpoint_id)
    within(overlap_hours, low=0, high=MAX_OVERLAP_HOURS, path=("overlapHours",))
    secret = secrets.new_secret()
    row.sealed_previous = row.sealed_secret if overlap_hours else None
    row.previous_until = now + timedelta(hours=overlap_hours) if overlap_hours else None
    row.sealed_secret = secrets.sealed(secret, settings)
    await session.flush()
    note_change(session, "webhook_endpoint", row.id, before=_shown(row), after=_shown(row) | {"secret": "rotated"})
    return WithSecret(row, secret)


async def archive_endpoint(session: AsyncSession, endpoint_id: UUID, *, now: datetime) -> WebhookEndpoint:
    """Tell an endpoint nothing more; its secrets are forgotten, its log stays. Errors: `NotFound`, ARCHIVED."""
    row = await changeable_endpoint(session, endpoint_id)
    before = _shown(row)
    row.archived_at, row.sealed_secret, row.sealed_previous, row.previous_until = now, "", None, None
    await session.flush()
    note_change(session, "webhook_endpoint", row.id, before=before, after=_shown(row))
    return row


async def changeable_endpoint(
    session: AsyncSession, endpoint_id: UUID, *, path: tuple[str, ...] = ("id",)
) -> WebhookEndpoint:
    """An endpoint, locked to the end of the transaction. Errors: `NotFound`, ARCHIVED."""
    row = await session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
    if row is None:
        raise NotFound("Webhook endpoint", ids.to_text("webhook_endpoint", endpoint_id), path=path)
    if row.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, "The endpoint is archived; make another one.", path=path, conflicting=row
        )
    return row


def _checked(url: str, settings: Settings) -> str:
    """What the address says is looked at now; where its name leads is looked at before every call."""
    try:
        target_of(url, allow_private=settings.allow_private_webhooks)
    except RefusedTarget as refused:
        raise InvalidInput(
            ErrorCode.INVALID, f"{url[:200]!r} is not taken: {refused}. Write https://host/path.", path=("input", "url")
        ) from refused
    return url


def _described(description: str | None) -> str | None:
    return None if description is None else name_of(description, path=("input", "description"))


def _shown(row: WebhookEndpoint) -> dict[str, object]:
    """What the audit log says; never a secret."""
    return {
        "url": row.url,
        "description": row.description,
        "eventTypes": row.event_types,
        "isEnabled": row.is_enabled,
        "archivedAt": None if row.archived_at is None else row.archived_at.isoformat(),
    }
