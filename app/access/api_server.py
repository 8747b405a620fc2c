"""What belongs to no slice: objects by id, and facts about the server.

Owns `node`, `nodes` and `serverInfo`. Which objects there are is told by the registry in `app.graphql.nodes`.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import strawberry
from graphql import GraphQLSchema, print_schema

from app.errors import ErrorCode, InvalidInput
from app.graphql.context import Info
from app.graphql.fields import ANY_KEY, query_field
from app.graphql.nodes import Node, load_node

MAX_NODES = 100


@strawberry.type(description="Facts about the server.")
class ServerInfo:
    version: str = strawberry.field(description="Release that answers.")
    schema_hash: str = strawberry.field(description="SHA-256 of the schema's text.")
    time: datetime = strawberry.field(description="What the server takes for now; a sandbox may live on another day.")


@strawberry.type
class ServerQuery:
    @query_field(scope=ANY_KEY, description="Any object by its id; null when there is none.", for_customers=True)
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the object.")]
    ) -> Node | None:
        return await load_node(info.context, id)

    @query_field(scope=ANY_KEY, description="Several objects by id, in the order of the ids.", for_customers=True)
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description=f"Ids of the objects, at most {MAX_NODES}.")
        ],
    ) -> list[Node | None]:
        if len(ids) > MAX_NODES:
            raise InvalidInput(ErrorCode.LIMIT_EXCEEDED, f"nodes takes at most {MAX_NODES} ids.", path=("ids",))
        return await asyncio.gather(*(load_node(info.context, text) for text in ids))

    @query_field(scope=ANY_KEY, description="Facts about the server.", for_customers=True)
    async def server_info(self, info: Info) -> ServerInfo:
        return ServerInfo(version=release(), schema_hash=_schema_hash(info.schema._schema), time=info.context.now)


def release() -> str:
    """The installed release."""
    try:
        return version("metrograph")
    except PackageNotFoundError:
        return "0"


@lru_cache(maxsize=4)
def _schema_hash(schema: GraphQLSchema) -> str:
    return hashlib.sha256(print_schema(schema).encode()).hexdigest()
