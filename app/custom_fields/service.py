"""Custom fields: keys are registered for a kind of object, then objects have values.

Owns the rules of semantics 10.2: only registered keys, all values of a call or none, and where a key says so, each
value on one object only. What is archived keeps its values, and keeps them from others, until they are deleted.
What a recurring balance makes takes over its values; they are its own from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import delete, literal
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.checks import Path, at_most, text_of
from app.custom_fields.entities import KINDS, RECURRING, Entity, Kind, entity_of
from app.custom_fields.tables import CustomFieldKey, CustomFieldValue
from app.errors import Conflict, ErrorCode, InvalidInput, InvalidState, NotFound
from app.store.arrays import among
from app.store.ids import to_text

MAX_KEYS = 100
MAX_KEY = 100
MAX_VALUE = 200


async def insert_custom_fields(
    session: AsyncSession, row: object, values: Mapping[str, str] | None, *, path: Path = ("input", "customFields")
) -> dict[str, object]:
    """Store the values of an object that this transaction makes; gives what the audit log says of them.

    Errors: those of `store_values`.
    """
    if values:
        await store_values(
            session, entity_of(row), row.id, values, path=path, is_taken_over=RECURRING.holds(row)  # type: ignore[attr-defined]
        )  # fmt: skip
    return _shown(values or {})


async def take_over(session: AsyncSession, source: UUID, heir: UUID) -> None:
    """Give an object that this transaction makes the values of the one that made it; those of removed keys stay unseen."""
    values = select(literal(heir), CustomFieldValue.key_id, CustomFieldValue.value).where(
        CustomFieldValue.object_id == source
    )
    await session.execute(insert(CustomFieldValue).from_select(["object_id", "key_id", "value"], values))


async def set_custom_fields(
    session: AsyncSession,
    entity: Entity,
    identifier: UUID,
    values: Mapping[str, str],
    *,
    kind: Kind | None = None,
    unstored: object | None = None,
) -> object:
    """Give an object these values; other keys keep theirs. Gives the object's row, or what is `unstored`, such as a draft.

    `kind` is that of an object which has the keys of another entity. An invoice may have them after it is
    final: they stand beside it and are no part of its content. Errors: `NotFound`, ARCHIVED, and those of `store_values`.
    """
    kind = kind or KINDS[entity]
    row = await _object(session, kind, identifier) or unstored
    if row is None:
        raise _missing(kind, identifier)
    if getattr(row, "archived_at", None) is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED,
            f"{kind.called} {to_text(kind.kind, identifier)} is archived; its values can be deleted.",
            path=("id",),
            conflicting=row,
        )
    if not values:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one key with its value.", path=("values",))
    before = (await custom_fields_of(session, [identifier]))[identifier]
    await store_values(session, entity, identifier, values, path=("values",), is_taken_over=kind is RECURRING)
    note_change(session, kind.kind, identifier, before=_shown(before), after=_shown(before | dict(values)))
    return row


async def delete_custom_fields(
    session: AsyncSession,
    entity: Entity,
    identifier: UUID,
    keys: Collection[str],
    *,
    kind: Kind | None = None,
    unstored: object | None = None,
) -> object | None:
    """Take the values of these keys from an object, archived or not. Gives the object's row, or what is `unstored`.

    What is left of a draft that is no more can be deleted as well, and gives None. Errors: `NotFound`, CUSTOM_FIELD_UNKNOWN.
    A key without a value is passed over.
    """
    kind = kind or KINDS[entity]
    row = await _object(session, kind, identifier) or unstored
    before = (await custom_fields_of(session, [identifier]))[identifier]
    if row is None and not before:
        raise _missing(kind, identifier)
    registered = await _registered(session, entity, keys, path=("keys",))
    await session.execute(
        delete(CustomFieldValue).where(
            col(CustomFieldValue.object_id) == identifier,
            col(CustomFieldValue.key_id).in_([found.id for found in registered.values()]),
        )
    )
    after = {key: value for key, value in before.items() if key not in registered}
    note_change(session, kind.kind, identifier, before=_shown(before), after=_shown(after))
    return row


async def store_values(
    session: AsyncSession,
    entity: Entity,
    identifier: UUID,
    values: Mapping[str, str],
    *,
    path: Path,
    is_taken_over: bool = False,
) -> None:
    """Store values of an object that this transaction made or holds; `path` is that of the values.

    Errors: CUSTOM_FIELD_UNKNOWN for a key that is not registered, INVALID, also for a key that allows a value once where
    each is taken over by others, `LimitExceeded`, and `Conflict` CUSTOM_FIELD_TAKEN naming the object that has a value
    which the key allows once.
    """
    at_most(values, MAX_KEYS, path=path)
    registered = await _registered(session, entity, values, path=path)
    # Sorted, so that two callers with the same keys wait for each other instead of deadlocking.
    for key in sorted(values):
        value = text_of(values[key], path=(*path, key), longest=MAX_VALUE)
        found = registered[key]
        if is_taken_over and found.enforce_uniqueness:
            raise InvalidInput(
                ErrorCode.INVALID,
                f"{key[:100]!r} is unique, and every balance would take it over; set it on each of them instead.",
                path=(*path, key),
            )
        unique = value if found.enforce_uniqueness else None
        statement = insert(CustomFieldValue).values(
            object_id=identifier, key_id=found.id, value=value, unique_value=unique
        )
        changed = {"value": value, "unique_value": unique}
        try:
            async with session.begin_nested():
                await session.execute(
                    statement.on_conflict_do_update(index_elements=["object_id", "key_id"], set_=changed)
                )
        except IntegrityError as error:
            if not isinstance(error.orig, pg.UniqueViolation):
                raise
            await _refuse_taken(session, entity, found, value, path=(*path, key))


async def custom_fields_of(session: AsyncSession, identifiers: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """The values of each object by key; none for keys that were removed."""
    rows = await session.execute(
        select(CustomFieldValue.object_id, CustomFieldKey.key, CustomFieldValue.value)
        .join(CustomFieldKey, col(CustomFieldKey.id) == CustomFieldValue.key_id)
        .where(among(col(CustomFieldValue.object_id), identifiers), col(CustomFieldKey.removed_at).is_(None))
        .order_by(col(CustomFieldKey.key))
    )
    found: dict[UUID, dict[str, str]] = {identifier: {} for identifier in identifiers}
    for identifier, key, value in rows:
        found[identifier][key] = value
    return found


async def check_registered(
    session: AsyncSession, entities: Collection[Entity], keys: Collection[str], *, path: Path
) -> None:
    """Refuse keys that none of these kinds of objects has: CUSTOM_FIELD_UNKNOWN."""
    found = await session.execute(
        select(CustomFieldKey.key).where(
            col(CustomFieldKey.entity).in_(entities),
            col(CustomFieldKey.key).in_(keys),
            col(CustomFieldKey.removed_at).is_(None),
        )
    )
    unknown = sorted(set(keys) - set(found.scalars()))
    if unknown:
        raise _unknown(unknown[0], " or ".join(entities), path=path)


async def _registered(
    session: AsyncSession, entity: Entity, keys: Collection[str], *, path: Path
) -> dict[str, CustomFieldKey]:
    rows = await session.execute(
        select(CustomFieldKey).where(
            CustomFieldKey.entity == entity, col(CustomFieldKey.key).in_(keys), col(CustomFieldKey.removed_at).is_(None)
        )
    )
    found = {row.key: row for row in rows.scalars()}
    unknown = sorted(set(keys) - set(found))
    if unknown:
        raise _unknown(unknown[0], entity, path=path)
    return found


def _unknown(key: str, of: str, *, path: Path) -> InvalidInput:
    return InvalidInput(
        ErrorCode.CUSTOM_FIELD_UNKNOWN,
        f"{key[:100]!r} is not a registered key of {of}; register it first.",
        path=(*path, key[:100]),
    )


async def _refuse_taken(session: AsyncSession, entity: Entity, key: CustomFieldKey, value: str, *, path: Path) -> None:
    """Raise `Conflict` CUSTOM_FIELD_TAKEN naming the holder of a value."""
    holder_id = (
        await session.execute(
            select(CustomFieldValue.object_id).where(
                CustomFieldValue.key_id == key.id, CustomFieldValue.unique_value == value
            )
        )
    ).scalar_one_or_none()
    kind = KINDS[entity]
    holder = None if holder_id is None else await session.get(kind.row_class, holder_id)
    named = f"another {kind.called.lower()}" if holder_id is None else to_text(kind.kind, holder_id)
    raise Conflict(
        ErrorCode.CUSTOM_FIELD_TAKEN,
        f"{key.key[:100]!r} is unique and {value[:100]!r} belongs to {named}.",
        path=path,
        conflicting=holder,
    )


async def _object(session: AsyncSession, kind: Kind, identifier: UUID) -> object | None:
    row: object | None = await session.get(kind.row_class, identifier)
    return row if kind.holds(row) else None


def _missing(kind: Kind, identifier: UUID) -> NotFound:
    return NotFound(kind.called, to_text(kind.kind, identifier), path=("id",))


def _shown(values: Mapping[str, str]) -> dict[str, object]:
    return {"customFields": dict(sorted(values.items()))}
