"""Taking usage back in GraphQL. The rules are in `usage_voids.py`."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.invoices.usage_voids import void_usage
from app.usage.search import MAX_IDS


@strawberry.input(description="Usage to be taken back; all of it or none.")
class UsageVoidInput:
    transaction_ids: list[str] = strawberry.field(description=f"The senders' ids of the events, at most {MAX_IDS}.")
    reason: str = strawberry.field(description="Why, in 1 to 500 characters; it stays with the events.")


@strawberry.type(description="What became of events that were to be taken back.")
class UsageVoidPayload(Payload):
    voided: int = strawberry.field(default=0, description="Events that were taken back by this call.")
    already_voided: int = strawberry.field(default=0, description="Events that had been taken back before.")


@strawberry.type
class UsageVoidsMutation:
    @mutation_field(
        scope="invoices:void",
        action="usage.void",
        description="Take back events that no final statement covers: they count nowhere any more, and their ids stay taken. "
        "Safe to repeat.",
    )
    async def usage_void(
        self, info: Info, input: Annotated[UsageVoidInput, strawberry.argument(description="What, and why.")]
    ) -> UsageVoidPayload:
        found = await void_usage(
            info.context.session, input.transaction_ids, reason=input.reason, actor=info.context.actor,
            now=info.context.now,
        )  # fmt: skip
        return UsageVoidPayload(voided=found.voided, already_voided=found.already_voided)
