"""Idempotency keys: a repeated request gets the first answer again and acts once.

Owns the stored answers. The first request holds an advisory lock to the end of its transaction and stores its answer in
that same transaction, so effect and answer are kept together or not at all. A crash frees the lock with its connection:
nothing blocks, nothing has to grow stale.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.tables import IdempotencyRecord
from app.errors import Conflict, ErrorCode
from app.store.locks import try_lock_named

KEPT = timedelta(hours=24)
_COLUMNS = IdempotencyRecord.__table__.c  # type: ignore[attr-defined]


async def begin(
    session: AsyncSession, *, key_id: UUID, key: str, fingerprint: str, now: datetime
) -> IdempotencyRecord | None:
    """The stored answer of an earlier request, or None when this one is the first and may act.

    Conflict when the key came with another request, or while the first one is still running.
    """
    if not await try_lock_named(session, f"idempotency {key_id.hex} {key}"):
        raise Conflict(
            ErrorCode.IDEMPOTENCY_KEY_IN_USE, "The first request with this Idempotency-Key is still running; try again."
        )
    mine = and_(_COLUMNS.key_id == key_id, _COLUMNS.key == key)
    found = (await session.execute(select(IdempotencyRecord).where(mine))).scalar_one_or_none()
    if found is None:
        return None
    if found.created_at <= now - KEPT:
        await session.execute(delete(IdempotencyRecord).where(mine))
        return None
    if found.fingerprint != fingerprint:
        raise Conflict(
            ErrorCode.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key came before with another request; use a new key."
        )
    return found


async def finish(
    session: AsyncSession,
    *,
    key_id: UUID,
    key: str,
    fingerprint: str,
    status: int,
    media_type: str,
    body: bytes,
    now: datetime,
) -> None:
    """Keep the answer, in the transaction that made it true."""
    session.add(
        IdempotencyRecord(
            created_at=now, key_id=key_id, key=key, fingerprint=fingerprint, status=status, media_type=media_type,
            body=body,
        )
    )  # fmt: skip
    await session.flush()


async def purge(session: AsyncSession, *, now: datetime) -> None:
    """Forget answers that are older than a day."""
    await session.execute(delete(IdempotencyRecord).where(_COLUMNS.created_at <= now - KEPT))
