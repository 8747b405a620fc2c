"""The audit log in GraphQL.

Owns the public shape of entries and the filter over them; writing and sealing are in `audit.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from sqlalchemy import Select, false, select

from app.access import tables
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import query_field
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import JSON, BigInt
from app.graphql.values import DateTimeFilter
from app.store import ids


@strawberry.type(description="Who acted.")
class AuditActor:
    kind: str = strawberry.field(description="key, embed, command, job or system.")
    name: str = strawberry.field(description="Name of the key, command or job.")
    key_id: strawberry.ID | None = strawberry.field(description="The API key, when there was one.")


@node_type("audit_entry", of=tables.AuditEntry, scope="audit:read", description="One mutation, carried out or refused.")
class AuditLogEntry(Node):
    action: str = strawberry.field(description="What was asked for, such as customer.create.")
    outcome: str = strawberry.field(description="ok, or refused: then nothing was changed.")
    code: str | None = strawberry.field(description="Why it was refused.")
    ip_address: str | None = strawberry.field(description="Address of the caller, behind trusted proxies.")
    user_agent: str | None = strawberry.field(description="Program of the caller, as it named itself.")
    request_id: str | None = strawberry.field(description="Request in which it happened.")
    hash: str | None = strawberry.field(description="Link of the chain; null until the entry is sealed.")
    sealed_at: datetime | None = strawberry.field(description="When it was numbered and linked to the chain.")

    @strawberry.field(description="When it happened.")
    def at(self, row: strawberry.Parent[tables.AuditEntry]) -> datetime:
        return row.created_at

    @strawberry.field(description="Who acted.")
    def actor(self, row: strawberry.Parent[tables.AuditEntry]) -> AuditActor:
        key_id = None if row.key_id is None else strawberry.ID(ids.to_text("api_key", row.key_id))
        return AuditActor(kind=row.actor_kind, name=row.actor_name, key_id=key_id)

    @strawberry.field(description="Kind of the object that was changed, such as customer.")
    def resource_type(self, row: strawberry.Parent[tables.AuditEntry]) -> str | None:
        return row.object_kind

    @strawberry.field(description="Id of the object that was changed.")
    def resource_id(self, row: strawberry.Parent[tables.AuditEntry]) -> strawberry.ID | None:
        if row.object_id is None or row.object_kind not in ids.PREFIXES:
            return None
        return strawberry.ID(ids.to_text(row.object_kind, row.object_id))

    @strawberry.field(description="The object before the change.")
    def before(self, row: strawberry.Parent[tables.AuditEntry]) -> JSON | None:
        return None if row.before is None else JSON(row.before)

    @strawberry.field(description="The object after the change.")
    def after(self, row: strawberry.Parent[tables.AuditEntry]) -> JSON | None:
        return None if row.after is None else JSON(row.after)

    @strawberry.field(description="Number in the chain, without gaps; null until the entry is sealed.")
    def sequence(self, row: strawberry.Parent[tables.AuditEntry]) -> BigInt | None:
        return None if row.sequence is None else BigInt(row.sequence)


@strawberry.input(description="Which audit entries to list; conditions add up.")
class AuditFilter:
    action: list[str] | None = strawberry.field(default=None, description="One of these actions.")
    outcome: str | None = strawberry.field(default=None, description="ok or refused.")
    resource_id: strawberry.ID | None = strawberry.field(default=None, description="Changes of this object.")
    resource_type: list[str] | None = strawberry.field(default=None, description="Changes of objects of these kinds.")
    key_id: strawberry.ID | None = strawberry.field(default=None, description="Made with this API key.")
    request_id: str | None = strawberry.field(default=None, description="Made in this request.")
    at: DateTimeFilter | None = strawberry.field(default=None, description="Made in this range of time.")


@strawberry.type
class AuditQuery:
    @query_field(scope="audit:read", description="What was changed, by whom, newest first.")
    async def audit_log(
        self,
        info: Info,
        filter: Annotated[AuditFilter | None, strawberry.argument(description="Which entries.")] = None,
        first: First = 50,
        after: After = None,
    ) -> Connection[AuditLogEntry]:
        columns = tables.AuditEntry.__table__.c  # type: ignore[attr-defined]
        statement = _filtered(select(tables.AuditEntry), filter)
        return await connection(info, statement, sort=[columns.id], descending=True, first=first, after=after)


def _filtered(statement: Select[Any], wanted: AuditFilter | None) -> Select[Any]:
    columns = tables.AuditEntry.__table__.c  # type: ignore[attr-defined]
    if wanted is None:
        return statement
    if wanted.action is not None:
        statement = statement.where(columns.action.in_(wanted.action))
    if wanted.resource_type is not None:
        statement = statement.where(columns.object_kind.in_(wanted.resource_type))
    if wanted.resource_id is not None:
        found = ids.parse(wanted.resource_id)
        statement = statement.where(columns.object_id == found[1] if found else false())
    if wanted.key_id is not None:
        key_id = ids.from_text("api_key", wanted.key_id, path=("filter", "keyId"))
        statement = statement.where(columns.key_id == key_id)
    for column, value in ((columns.outcome, wanted.outcome), (columns.request_id, wanted.request_id)):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.at is not None and wanted.at.gte is not None:
        statement = statement.where(columns.created_at >= wanted.at.gte)
    if wanted.at is not None and wanted.at.lt is not None:
        statement = statement.where(columns.created_at < wanted.at.lt)
    return statement
