"""The keys of custom fields: registered for a kind of object, and removed.

Owns which keys there are. Removing one hides its values for good: a key of the same name later begins without any.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.change import note_change
from app.checks import text_of
from app.custom_fields.entities import Entity
from app.custom_fields.service import MAX_KEY, MAX_KEYS
from app.custom_fields.tables import CustomFieldKey
from app.errors import Conflict, ErrorCode, LimitExceeded, NotFound
from app.store.ids import to_text


async def add_key(
    session: AsyncSession, *, entity: Entity, key: str, enforce_uniqueness: bool = False, now: datetime
) -> CustomFieldKey:
    """Register a key. Errors: REQUIRED, INVALID, CUSTOM_FIELD_KEY_EXISTS, `LimitExceeded` above 100 for one entity."""
    text_of(key, path=("input", "key"), longest=MAX_KEY)
    await _refuse_registered(session, entity, key)
    present = await session.execute(
        select(func.count()).where(CustomFieldKey.entity == entity, col(CustomFieldKey.removed_at).is_(None))
    )
    if present.scalar_one() >= MAX_KEYS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"{entity} has {MAX_KEYS} keys; remove one first.", path=("input", "entity")
        )
    row = CustomFieldKey(created_at=now, entity=entity, key=key, enforce_uniqueness=enforce_uniqueness)
    try:
        async with session.begin_nested():
            session.add(row)
            await session.flush()
    except IntegrityError:
        await _refuse_registered(session, entity, key)
        raise
    note_change(
        session, "custom_field_key", row.id,
        after={"entity": entity, "key": key, "enforceUniqueness": enforce_uniqueness},
    )  # fmt: skip
    return row


async def remove_key(session: AsyncSession, key_id: UUID, *, now: datetime) -> CustomFieldKey:
    """Take a key out of use; its values can be seen and set no more. `NotFound`, also for one that was removed."""
    row = await session.get(CustomFieldKey, key_id, with_for_update=True, populate_existing=True)
    if row is None or row.removed_at is not None:
        raise NotFound("Custom field key", to_text("custom_field_key", key_id), path=("id",))
    row.removed_at = now
    await session.flush()
    note_change(session, "custom_field_key", key_id, before={"removedAt": None}, after={"removedAt": now.isoformat()})
    return row


async def unique_keys(session: AsyncSession) -> set[tuple[Entity, str]]:
    """The registered keys that allow each value once."""
    rows = await session.execute(
        select(CustomFieldKey.entity, CustomFieldKey.key).where(
            col(CustomFieldKey.enforce_uniqueness), col(CustomFieldKey.removed_at).is_(None)
        )
    )
    return {(Entity(entity), key) for entity, key in rows}


async def _refuse_registered(session: AsyncSession, entity: Entity, key: str) -> None:
    found = await session.execute(
        select(CustomFieldKey).where(
            CustomFieldKey.entity == entity, CustomFieldKey.key == key, col(CustomFieldKey.removed_at).is_(None)
        )
    )
    row = found.scalar_one_or_none()
    if row is not None:
        raise Conflict(
            ErrorCode.CUSTOM_FIELD_KEY_EXISTS,
            f"{key[:100]!r} is a registered key of {entity} already.",
            path=("input", "key"),
            conflicting=row,
        )
