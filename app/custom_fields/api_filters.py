"""Lists of objects that have custom fields, narrowed to some values.

Owns the condition that lists of all slices share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry
from sqlalchemy import ColumnElement, Select, false
from sqlmodel import col, select

from app.checks import Path
from app.custom_fields.api_types import custom_fields_in
from app.custom_fields.entities import Entity
from app.custom_fields.service import check_registered
from app.custom_fields.tables import CustomFieldKey, CustomFieldValue
from app.graphql.context import Info
from app.graphql.values import KeyValueInput

DESCRIPTION = "Those with all of these values of custom fields; none match for tokens of one customer."
Carrying = Annotated[list[KeyValueInput] | None, strawberry.argument(description=DESCRIPTION)]
"""The argument of a list without a filter."""


async def with_custom_fields(
    info: Info,
    statement: Select[Any],
    entity: Entity,
    identifier: ColumnElement[Any],
    wanted: Sequence[KeyValueInput],
    *,
    path: Path = ("filter", "customFields"),
) -> Select[Any]:
    """The statement for those objects, with the id that is given, which have all these values.

    Errors: CUSTOM_FIELD_UNKNOWN for a key that is not registered, INVALID for one that is named twice.
    """
    if not wanted:
        return statement
    values = custom_fields_in(wanted, path=path)
    await check_registered(info.context.session, (entity,), values, path=path)
    if info.context.actor.customer_id is not None:
        return statement.where(false())  # A customer's own token does not see the seller's notes.
    for key, value in values.items():
        holding = (
            select(CustomFieldValue.object_id)
            .join(CustomFieldKey, col(CustomFieldKey.id) == CustomFieldValue.key_id)
            .where(
                CustomFieldKey.entity == entity,
                CustomFieldKey.key == key,
                col(CustomFieldKey.removed_at).is_(None),
                CustomFieldValue.value == value,
            )
        )
        statement = statement.where(identifier.in_(holding))
    return statement
