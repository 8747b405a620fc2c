"""API keys: made, shown once, recognized, revoked.

Owns the secret's form and every check on it. Who calls becomes an `Actor`; what it may do is decided at the fields.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.scopes import SCOPES
from app.access.tables import ApiKey
from app.actor import Actor
from app.change import note_change
from app.customers.tables import Customer
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store import ids

PREFIX = "mg_"
BOOTSTRAP = "bootstrap"
"""Name of the key that the settings bring; nobody else may use it."""
TOUCH_EVERY = timedelta(minutes=5)
MAX_SECRET = 200


async def create_key(
    session: AsyncSession,
    *,
    name: str,
    scopes: Collection[str],
    now: datetime,
    expires_at: datetime | None = None,
    customer_id: UUID | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is told here and never again."""
    name = name.strip()
    if not 0 < len(name) <= 200 or name == BOOTSTRAP:
        raise InvalidInput(
            ErrorCode.INVALID, f"A key's name has 1 to 200 characters and is not '{BOOTSTRAP}'.", path=("input", "name")
        )
    if not scopes:
        raise InvalidInput(ErrorCode.REQUIRED, "A key needs at least one scope or role.", path=("input", "scopes"))
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        accepted = ", ".join(sorted(SCOPES))
        raise InvalidInput(
            ErrorCode.INVALID, f"'{unknown[0][:60]}' is not a scope; accepted: {accepted}.", path=("input", "scopes")
        )
    if expires_at is not None and expires_at <= now:
        raise InvalidInput(ErrorCode.INVALID, "expiresAt lies in the past.", path=("input", "expiresAt"))
    if customer_id is not None and await session.get(Customer, customer_id) is None:
        raise NotFound("Customer", ids.to_text("customer", customer_id), path=("input", "customerId"))
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        created_at=now,
        name=name,
        hint=f"{secret[:7]}…{secret[-4:]}",
        digest=digest(secret),
        scopes=sorted(set(scopes)),
        customer_id=customer_id,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    note_change(session, "api_key", row.id, after=_shown(row))
    return row, secret


async def revoke_key(session: AsyncSession, key_id: UUID, *, now: datetime) -> ApiKey:
    """End a key for good. Ending one that has ended changes nothing."""
    row = await session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise NotFound("API key", ids.to_text("api_key", key_id), path=("id",))
    before = _shown(row)
    if row.revoked_at is None:
        row.revoked_at = now
        await session.flush()
    note_change(session, "api_key", row.id, before=before, after=_shown(row))
    return row


async def authenticate(
    session: AsyncSession, secret: str, *, now: datetime, bootstrap: str | None = None
) -> Actor | None:
    """The caller that a secret belongs to; None for one that is unknown, expired, revoked or no longer configured."""
    if not 0 < len(secret) <= MAX_SECRET:
        return None
    found = digest(secret)
    is_bootstrap = bootstrap is not None and secrets.compare_digest(found, digest(bootstrap))
    row = await _by_digest(session, found)
    if row is None and is_bootstrap:
        row = await _add_bootstrap(session, found, now)
    if row is None or not secrets.compare_digest(row.digest, found):
        return None
    ended = row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now)
    if ended or (row.name == BOOTSTRAP and not is_bootstrap):
        return None
    await _touch(session, row, now)
    return Actor(
        kind="key" if row.customer_id is None else "embed",
        name=row.name,
        scopes=frozenset(row.scopes),
        key_id=row.id,
        customer_id=row.customer_id,
    )


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _by_digest(session: AsyncSession, found: str) -> ApiKey | None:
    return (await session.execute(select(ApiKey).where(ApiKey.digest == found))).scalar_one_or_none()  # type: ignore[arg-type]


async def _add_bootstrap(session: AsyncSession, found: str, now: datetime) -> ApiKey | None:
    """The settings' key becomes a row at its first use, so that the audit log can name it; two first uses may race."""
    row = {
        # Derived, so that entries of a first request that was undone name the key all the same.
        "id": UUID(hex=f"{found[:12]}8{found[13:16]}8{found[17:32]}"), "created_at": now, "name": BOOTSTRAP, "hint": "(settings)", "digest": found,
        "scopes": ["admin"],
    }  # fmt: skip
    await session.execute(insert(ApiKey).values(**row).on_conflict_do_nothing(index_elements=["digest"]))
    return await _by_digest(session, found)


async def _touch(session: AsyncSession, row: ApiKey, now: datetime) -> None:
    """Remember the use, now and then only: a write for each request would make every key a queue."""
    if row.last_used_at is not None and now - row.last_used_at < TOUCH_EVERY:
        return
    free = select(ApiKey.id).where(ApiKey.id == row.id).with_for_update(skip_locked=True).scalar_subquery()  # type: ignore[arg-type,call-overload]
    await session.execute(
        update(ApiKey).where(ApiKey.id == free).values(last_used_at=now),  # type: ignore[arg-type]
        execution_options={"synchronize_session": False},
    )


def _shown(row: ApiKey) -> dict[str, object]:
    """What the audit log keeps of a key: everything but its digest."""
    return {
        "name": row.name,
        "scopes": list(row.scopes),
        "expiresAt": row.expires_at.isoformat() if row.expires_at else None,
        "revokedAt": row.revoked_at.isoformat() if row.revoked_at else None,
    }
