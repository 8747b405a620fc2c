"""Keys, the audit log and facts about the server in GraphQL.

Owns the public shape of what the access slice stores; rules are in `keys.py` and `audit.py`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import strawberry
from graphql import GraphQLSchema, print_schema
from sqlalchemy import Select, false, select

from app.access import keys, tables
from app.access.scopes import ROLE_SENTENCES, ROLES, Role
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import ANY_KEY, mutation_field, query_field
from app.graphql.nodes import Node, load_node, node_type
from app.graphql.payload import Payload
from app.graphql.scalars import JSON, BigInt
from app.graphql.values import DateTimeFilter, described_enum
from app.store import ids

MAX_NODES = 100
ApiRole = described_enum(
    Role, name="ApiRole", description="A usual bundle of scopes for an API key.", sentences=ROLE_SENTENCES
)


@node_type("api_key", of=tables.ApiKey, scope="admin", description="A caller of the API. Its secret is never stored.")
class ApiKey(Node):
    name: str = strawberry.field(description="What people call it.")
    hint: str = strawberry.field(description="Beginning and end of the secret, to tell keys apart.")
    scopes: list[str] = strawberry.field(description="What it may do.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself; null when it does not.")
    revoked_at: datetime | None = strawberry.field(description="When it was ended by hand.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to within five minutes.")

    @strawberry.field(description="Customer to whom it is bound; it sees nothing else.")
    def customer_id(self, row: strawberry.Parent[tables.ApiKey]) -> strawberry.ID | None:
        return None if row.customer_id is None else strawberry.ID(ids.to_text("customer", row.customer_id))


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


@strawberry.type(description="Facts about the server.")
class ServerInfo:
    version: str = strawberry.field(description="Release that answers.")
    schema_hash: str = strawberry.field(description="SHA-256 of the schema's text.")
    time: datetime = strawberry.field(description="What the server takes for now; a sandbox may live on another day.")


@strawberry.input(description="A new API key.")
class ApiKeyCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    scopes: list[str] = strawberry.field(default_factory=list, description="Scopes, such as customers:read.")
    roles: list[ApiRole] = strawberry.field(  # type: ignore[valid-type]
        default_factory=list, description="Usual bundles of scopes, added to the scopes."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends by itself; default: never.")
    customer_id: strawberry.ID | None = strawberry.field(
        default=None, description="Bind the key to one customer; it then sees nothing else."
    )


@strawberry.type(description="Answer to a mutation of an API key.")
class ApiKeyPayload(Payload):
    api_key: ApiKey | None = strawberry.field(default=None, description="The key; null after an error.")
    secret_once: str | None = strawberry.field(
        default=None, description="The secret of a new key. It is shown here and never again."
    )


@strawberry.type
class AccessQuery:
    @query_field(scope=ANY_KEY, description="Any object by its id; null when there is none.", for_customers=True)
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the object.")]
    ) -> Node | None:
        return await load_node(info.context, id)

    @query_field(scope=ANY_KEY, description="Several objects by id, in the order of the ids.", for_customers=True)
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of the objects, at most 100.")],
    ) -> list[Node | None]:
        if len(ids) > MAX_NODES:
            raise InvalidInput(ErrorCode.LIMIT_EXCEEDED, f"nodes takes at most {MAX_NODES} ids.", path=("ids",))
        return [await load_node(info.context, text) for text in ids]

    @query_field(scope=ANY_KEY, description="Facts about the server.", for_customers=True)
    async def server_info(self, info: Info) -> ServerInfo:
        return ServerInfo(version=release(), schema_hash=_schema_hash(info.schema._schema), time=info.context.now)

    @query_field(scope="admin", description="All API keys, newest first.")
    async def api_keys(self, info: Info, first: First = 25, after: After = None) -> Connection[ApiKey]:
        columns = tables.ApiKey.__table__.c  # type: ignore[attr-defined]
        return await connection(
            info, select(tables.ApiKey), sort=[columns.id], descending=True, first=first, after=after
        )

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


@strawberry.type
class AccessMutation:
    @mutation_field(scope="admin", action="api_key.create", description="Make an API key; its secret is shown once.")
    async def api_key_create(
        self, info: Info, input: Annotated[ApiKeyCreateInput, strawberry.argument(description="The new key.")]
    ) -> ApiKeyPayload:
        scopes = set(input.scopes).union(*(ROLES[role] for role in input.roles))
        customer_id = None
        if input.customer_id is not None:
            customer_id = ids.from_text("customer", input.customer_id, path=("input", "customerId"))
        row, secret = await keys.create_key(
            info.context.session,
            name=input.name,
            scopes=scopes,
            now=info.context.now,
            expires_at=input.expires_at,
            customer_id=customer_id,
        )
        info.context.secrets.append(secret)
        return ApiKeyPayload(api_key=row, secret_once=secret)  # type: ignore[arg-type]

    @mutation_field(scope="admin", action="api_key.revoke", description="End an API key for good, at once.")
    async def api_key_revoke(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the key.")]
    ) -> ApiKeyPayload:
        key_id = ids.from_text("api_key", id, path=("id",))
        row = await keys.revoke_key(info.context.session, key_id, now=info.context.now)
        return ApiKeyPayload(api_key=row)  # type: ignore[arg-type]


def release() -> str:
    """The installed release."""
    try:
        return version("metrograph")
    except PackageNotFoundError:
        return "0"


@lru_cache(maxsize=4)
def _schema_hash(schema: GraphQLSchema) -> str:
    return hashlib.sha256(print_schema(schema).encode()).hexdigest()
