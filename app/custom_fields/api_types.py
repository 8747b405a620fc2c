"""How custom fields are shown, on every type that has them.

Owns the interface that types of all slices join, the input that creates share, and the loader behind both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.checks import Path
from app.custom_fields import entities, tables
from app.custom_fields.service import custom_fields_of
from app.errors import ErrorCode, InvalidInput
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS, Node, node_type
from app.graphql.values import KeyValue, KeyValueInput, described_enum, key_values

CustomFieldEntity = described_enum(
    entities.Entity,
    name="CustomFieldEntity",
    description="A kind of object that has custom fields.",
    sentences={
        entities.Entity.CUSTOMER: "Customers.",
        entities.Entity.CONTRACT: "Contracts.",
        entities.Entity.COMMIT: "Commits of customers and contracts.",
        entities.Entity.CREDIT: "Credits of customers and contracts.",
        entities.Entity.SUBSCRIPTION: "Subscriptions of contracts.",
        entities.Entity.SCHEDULED_CHARGE: "Scheduled charges of contracts.",
        entities.Entity.PRODUCT: "Products.",
        entities.Entity.RATE_CARD: "Rate cards.",
        entities.Entity.BILLABLE_METRIC: "Billable metrics.",
        entities.Entity.INVOICE: "Invoices, drafts among them, which keep theirs when they become final.",
        entities.Entity.ALERT: "Alerts.",
    },
)


async def _load(context: Context, keys: Sequence[UUID]) -> Sequence[dict[str, str]]:
    found = await custom_fields_of(context.session, keys)
    return [found[key] for key in keys]


LOADERS["custom_fields"] = _load


@strawberry.interface(description="An object that has custom fields.")
class HasCustomFields:
    @strawberry.field(description="Its custom fields, at most 100, by key; none for tokens of one customer.")
    async def custom_fields(self, info: Info, row: strawberry.Parent[Any]) -> list[KeyValue]:
        return key_values(await _seen(info, row.id))

    @strawberry.field(description="The value of one of its custom fields; null without one.")
    async def custom_field(
        self,
        info: Info,
        row: strawberry.Parent[Any],
        key: Annotated[str, strawberry.argument(description="The key.")],
    ) -> str | None:
        return (await _seen(info, row.id)).get(key)


async def _seen(info: Info, identifier: UUID) -> dict[str, str]:
    # They are the seller's notes, such as account numbers; a customer's own token does not see them.
    if info.context.actor.customer_id is not None:
        return {}
    return await info.context.load("custom_fields", identifier)


@node_type(
    "custom_field_key", of=tables.CustomFieldKey, scope="custom_fields:read",
    description="A key of custom fields that objects of one kind may have.",
)  # fmt: skip
class CustomFieldKey(Node):
    entity: CustomFieldEntity = strawberry.field(description="Whose key it is.")  # type: ignore[valid-type]
    key: str = strawberry.field(description="The key.")
    enforce_uniqueness: bool = strawberry.field(description="Whether each value may be on one object only.")
    created_at: datetime = strawberry.field(description="When it was registered.")
    removed_at: datetime | None = strawberry.field(description="When it was removed, and its values with it.")


def custom_fields_in(pairs: Sequence[KeyValueInput], *, path: Path = ("input", "customFields")) -> dict[str, str]:
    """The values as a mapping; a key that is named twice is refused."""
    values = {pair.key: pair.value for pair in pairs}
    if len(values) < len(pairs):
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} names a key twice.", path=path)
    return values
