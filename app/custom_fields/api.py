"""Custom fields in GraphQL: their keys, and the values of any object that has them.

Owns the root fields; the rules are in `keys.py` and `service.py`.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy import select

from app.custom_fields import keys, service, tables
from app.custom_fields.api_types import CustomFieldEntity, CustomFieldKey, custom_fields_in
from app.custom_fields.entities import HOLDERS, KINDS, Entity, Kind, entity_of, kind_named
from app.errors import ErrorCode, InvalidInput, NotFound
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import Node, as_node
from app.graphql.payload import Payload
from app.graphql.values import KeyValueInput
from app.store import ids

COLUMNS = tables.CustomFieldKey.__table__.c  # type: ignore[attr-defined]
ObjectID = Annotated[strawberry.ID, strawberry.argument(description="Id of the object, of any kind that has them.")]


@strawberry.input(description="A new key of custom fields.")
class CustomFieldKeyAddInput:
    entity: CustomFieldEntity = strawberry.field(description="Whose key it is.")  # type: ignore[valid-type]
    key: str = strawberry.field(description="The key, 1 to 100 characters.")
    enforce_uniqueness: bool = strawberry.field(
        default=False, description="Whether each value may be on one object only, archived ones included."
    )


@strawberry.type(description="Answer to a mutation of a key of custom fields.")
class CustomFieldKeyPayload(Payload):
    custom_field_key: CustomFieldKey | None = strawberry.field(
        default=None, description="The key; null after an error."
    )


@strawberry.type(description="Answer to a mutation of an object's custom fields.")
class CustomFieldsPayload(Payload):
    node: Node | None = strawberry.field(
        default=None, description="The object; null after an error, and for keys that may not read it."
    )


@strawberry.type
class CustomFieldsQuery:
    @query_field(
        scope="custom_fields:read", description="Keys of custom fields that are registered, by entity and key."
    )
    async def custom_field_keys(
        self,
        info: Info,
        entity: Annotated[
            CustomFieldEntity | None,  # type: ignore[valid-type]
            strawberry.argument(description="Those of one kind of object."),
        ] = None,
        first: First = 100,
        after: After = None,
    ) -> Connection[CustomFieldKey]:
        statement = select(tables.CustomFieldKey).where(COLUMNS.removed_at.is_(None))
        if entity is not None:
            statement = statement.where(COLUMNS.entity == entity)
        return await connection(
            info, statement, sort=[COLUMNS.entity, COLUMNS.key, COLUMNS.id], first=first, after=after
        )


@strawberry.type
class CustomFieldsMutation:
    @mutation_field(
        scope="custom_fields:write",
        action="custom_field_key.add",
        description="Register a key, so that objects of one kind may have values for it.",
    )
    async def custom_field_key_add(
        self, info: Info, input: Annotated[CustomFieldKeyAddInput, strawberry.argument(description="The new key.")]
    ) -> CustomFieldKeyPayload:
        row = await keys.add_key(
            info.context.session,
            entity=input.entity,
            key=input.key,
            enforce_uniqueness=input.enforce_uniqueness,
            now=info.context.now,
        )
        return CustomFieldKeyPayload(custom_field_key=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="custom_fields:write",
        action="custom_field_key.remove",
        description="Remove a key; its values can be seen no more, not even when it is registered again.",
    )
    async def custom_field_key_remove(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the key.")]
    ) -> CustomFieldKeyPayload:
        key_id = ids.from_text("custom_field_key", id, path=("id",))
        row = await keys.remove_key(info.context.session, key_id, now=info.context.now)
        return CustomFieldKeyPayload(custom_field_key=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="custom_fields:write",
        action="custom_fields.set",
        description="Give an object values for some keys; other keys keep theirs. All of them or none are set.",
    )
    async def custom_fields_set(
        self,
        info: Info,
        id: ObjectID,
        values: Annotated[list[KeyValueInput], strawberry.argument(description="The keys with their values.")],
    ) -> CustomFieldsPayload:
        kind, object_id = _named(id)
        found = custom_fields_in(values, path=("values",))
        entity, unstored = await _whose(info, kind, object_id)
        row = await service.set_custom_fields(
            info.context.session, entity, object_id, found, kind=kind, unstored=unstored
        )
        return CustomFieldsPayload(node=as_node(row, info.context.actor))  # type: ignore[arg-type]

    @mutation_field(
        scope="custom_fields:write",
        action="custom_fields.delete",
        description="Take the values of some keys from an object, archived or not.",
    )
    async def custom_fields_delete(
        self,
        info: Info,
        id: ObjectID,
        keys_: Annotated[
            list[str], strawberry.argument(name="keys", description="The keys; one without a value is passed over.")
        ],
    ) -> CustomFieldsPayload:
        kind, object_id = _named(id)
        entity, unstored = await _whose(info, kind, object_id)
        row = await service.delete_custom_fields(
            info.context.session, entity, object_id, keys_, kind=kind, unstored=unstored
        )
        return CustomFieldsPayload(node=as_node(row, info.context.actor))  # type: ignore[arg-type]


async def _whose(info: Info, kind: Kind, object_id: UUID) -> tuple[Entity, object | None]:
    """Whose keys an object may have; and an invoice, drafts included: those are no rows, so their own slice finds them."""
    own = next((entity for entity, found in KINDS.items() if found is kind), None)
    if own is not None:
        return own, await info.context.load("invoice", object_id) if own is Entity.INVOICE else None
    row = await info.context.session.get(kind.row_class, object_id)
    if row is None:
        raise NotFound(kind.called, ids.to_text(kind.kind, object_id), path=("id",))
    return entity_of(row), None


def _named(text: str) -> tuple[Kind, UUID]:
    """What an id names, when that has custom fields."""
    found = ids.parse(text)
    kind = None if found is None else kind_named(found[0])
    if found is None or kind is None:
        accepted = ", ".join(f"{ids.PREFIXES[holder.kind]}_…" for holder in HOLDERS)
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{text[:60]!r} names nothing that has custom fields; such ids look like {accepted}.",
            path=("id",),
        )
    return kind, found[1]
