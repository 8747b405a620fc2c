"""API keys in GraphQL.

Owns their public shape, in which a secret appears once; rules are in `keys.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy import select

from app.access import keys, tables
from app.access.scopes import ROLE_SENTENCES, ROLES, Role
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import Node, node_type
from app.graphql.payload import Payload
from app.graphql.values import described_enum
from app.store import ids

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
    @query_field(scope="admin", description="All API keys, newest first.")
    async def api_keys(self, info: Info, first: First = 25, after: After = None) -> Connection[ApiKey]:
        columns = tables.ApiKey.__table__.c  # type: ignore[attr-defined]
        return await connection(
            info, select(tables.ApiKey), sort=[columns.id], descending=True, first=first, after=after
        )


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
