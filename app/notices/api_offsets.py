"""Offset notices in GraphQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from sqlalchemy import select

from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import Node, node_type
from app.graphql.payload import Payload
from app.notices import offsets, tables
from app.store import ids

OFFSETS: Any = tables.OffsetNotice.__table__.c  # type: ignore[attr-defined]


@node_type(
    "offset_notice", of=tables.OffsetNotice, scope="notices:read",
    description="Has events of a type told again some time before or after them, by webhooks of the type offset.*.",
)  # fmt: skip
class OffsetNotice(Node):
    name: str = strawberry.field(description="What people call it.")
    type: str = strawberry.field(description="The event, such as contract.end or commit.segment.end.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="When it was archived.")
    uniqueness_key: str | None = strawberry.field(description="The key that makes its create safe to repeat.")

    @strawberry.field(description="How long after the event, as an ISO 8601 duration; with a minus: before it.")
    def offset(self, row: strawberry.Parent[tables.OffsetNotice]) -> str:
        return offsets.written(row)


@strawberry.input(description="A new offset notice.")
class OffsetNoticeCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    type: str = strawberry.field(description="An event of contracts, commits or credits, such as contract.end.")
    offset: str = strawberry.field(
        description="An ISO 8601 duration of years, months, weeks, days and hours; with a minus for before, as in -P7D."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


@strawberry.type(description="Answer to a mutation of an offset notice.")
class OffsetNoticePayload(Payload):
    offset_notice: OffsetNotice | None = strawberry.field(
        default=None, description="The offset notice; null after an error."
    )


@strawberry.type
class OffsetsQuery:
    @query_field(scope="notices:read", description="Offset notices, newest first, archived ones too.")
    async def offset_notices(self, info: Info, first: First = 25, after: After = None) -> Connection[OffsetNotice]:
        statement = select(tables.OffsetNotice)
        return await connection(info, statement, sort=[OFFSETS.id], descending=True, first=first, after=after)


@strawberry.type
class OffsetsMutation:
    @mutation_field(
        scope="notices:write",
        action="offset_notice.create",
        description="Have events told some time before or after them, where that lies in the future.",
    )
    async def offset_notice_create(
        self,
        info: Info,
        input: Annotated[OffsetNoticeCreateInput, strawberry.argument(description="The new offset notice.")],
    ) -> OffsetNoticePayload:
        row = await offsets.create_offset(
            info.context.session, name=input.name, event_type=input.type, offset=input.offset,
            uniqueness_key=input.uniqueness_key, now=info.context.now,
        )  # fmt: skip
        return OffsetNoticePayload(offset_notice=row)  # type: ignore[arg-type]

    @mutation_field(scope="notices:write", action="offset_notice.archive", description="Tell nothing of it any more.")
    async def offset_notice_archive(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the offset notice.")]
    ) -> OffsetNoticePayload:
        offset_id = ids.from_text("offset_notice", id, path=("id",))
        row = await offsets.archive_offset(info.context.session, offset_id, now=info.context.now)
        return OffsetNoticePayload(offset_notice=row)  # type: ignore[arg-type]
