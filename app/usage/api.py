"""Usage in GraphQL: ingest for callers who speak nothing else.

Owns the input and the answer; checking and storing are the service's, the same as for `POST /v1/events`. Ingest leaves a
row in the log of ingest calls and no audit entry.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.errors import ErrorCode, InvalidInput, NotPermitted
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.graphql.scalars import JSON
from app.usage.incoming import MAX_EVENTS, IncomingEvent, bounded
from app.usage.service import ingest

HISTORY_SCOPE = "admin"


@strawberry.input(description="One event of usage.")
class UsageEventInput:
    transaction_id: str = strawberry.field(description="Your id of it; an id is counted once for ever.")
    customer_id: str = strawberry.field(description="Id of the customer, or one of its ingest aliases.")
    event_type: str = strawberry.field(description="Kind of event, which metrics select by.")
    timestamp: datetime = strawberry.field(description="When it happened: at most 34 days ago, 24 hours ahead.")
    properties: JSON | None = strawberry.field(
        default=None, description="A JSON object. Write numbers with a fraction as strings, to be sure of every digit."
    )


@strawberry.input(description="A batch of usage; it is accepted whole or not at all.")
class UsageIngestInput:
    events: list[UsageEventInput] = strawberry.field(description=f"The events, at most {MAX_EVENTS}.")
    allow_historical: bool = strawberry.field(
        default=False, description=f"Take events older than 34 days too; needs the scope {HISTORY_SCOPE}."
    )


@strawberry.type(description="An event whose transaction id came before with other content; the first one stays.")
class UsageConflict:
    index: int = strawberry.field(description="Its place in the batch, from 0.")
    transaction_id: str = strawberry.field(description="The id that was used before.")
    message: str = strawberry.field(description="What happened, in a sentence.")


@strawberry.type(description="What became of a batch of usage. A refused one has an error for each bad event.")
class UsageIngestPayload(Payload):
    accepted: int = strawberry.field(default=0, description="Events that were new; they are billable at once.")
    duplicates: int = strawberry.field(default=0, description="Events whose transaction id came before.")
    conflicts: list[UsageConflict] = strawberry.field(
        default_factory=list, description="Those among the duplicates that differ from the first."
    )


@strawberry.type
class UsageMutation:
    @mutation_field(
        scope="usage:write",
        action="usage.ingest",
        description="Send usage. A repeated transaction id is counted as a duplicate and changes nothing.",
        audited=False,
    )
    async def usage_ingest(
        self, info: Info, input: Annotated[UsageIngestInput, strawberry.argument(description="The batch.")]
    ) -> UsageIngestPayload:
        actor = info.context.actor
        if input.allow_historical and not actor.may(HISTORY_SCOPE):
            raise NotPermitted(
                ErrorCode.NOT_PERMITTED,
                f"allowHistorical needs the scope '{HISTORY_SCOPE}'.",
                path=("input", "allowHistorical"),
            )
        if not input.events:
            raise InvalidInput(ErrorCode.REQUIRED, "The batch has no events.", path=("input", "events"))
        found = await ingest(
            info.context.session,
            bounded([_incoming(event) for event in input.events]),
            actor=actor,
            now=info.context.now,
            source="graphql",
            allow_historical=input.allow_historical,
        )
        return UsageIngestPayload(
            accepted=found.accepted,
            duplicates=found.duplicates,
            conflicts=[
                UsageConflict(index=item.index, transaction_id=item.transaction_id, message=item.message)
                for item in found.conflicts
            ],
        )


def _incoming(event: UsageEventInput) -> IncomingEvent:
    properties = {} if event.properties is None else event.properties
    return IncomingEvent(event.transaction_id, event.customer_id, event.event_type, event.timestamp, properties)
