"""Single events in GraphQL, by their transaction ids.

Owns how an event is shown; what is known of it is found by `search.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.catalog.api_types import BillableMetric
from app.customers.api_types import Customer
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field, query_field
from app.graphql.scalars import JSON
from app.graphql.values import described_enum
from app.usage import event_states
from app.usage.search import MAX_IDS, SearchedEvent, search_events
from app.usage.service import event_id


@strawberry.type(description="A metric whose conditions an event meets.")
class MatchedMetric:
    metric_id: strawberry.Private[UUID]
    is_counted: bool = strawberry.field(
        description="Whether the event brings a value that the metric can read and was not taken back."
    )

    @object_field(scope="catalog:read", description="The metric. Scope: catalog:read.")
    async def metric(self, info: Info) -> BillableMetric:
        return await info.context.load("metric", self.metric_id)


UsageEventState = described_enum(
    event_states.EventState,
    name="UsageEventState",
    description="How far an event has come on its way to an invoice.",
    sentences={
        event_states.EventState.UNCLAIMED: "No contract runs at its time, or it is nobody's.",
        event_states.EventState.PENDING: "Its statement is a draft; usageVoid takes it back.",
        event_states.EventState.BILLABLE: "Its statement is final; if that billed it, outcomeReversal gives it back.",
        event_states.EventState.REVERSED: "It was billed and given back, wholly or in part; see outcomeReversals.",
        event_states.EventState.VOIDED: "It was taken back before anybody was billed for it.",
    },
)


@strawberry.type(description="Where an event stands.")
class UsageEventStanding:
    state: UsageEventState = strawberry.field(description="How far it has come.")  # type: ignore[valid-type]
    until: datetime | None = strawberry.field(
        description="While it is PENDING: when its statement becomes final, until which it can be disputed and taken back; null "
        "before the statement has begun."
    )


@strawberry.type(description="A stored event. Repeats of its transaction id were counted and are not kept.")
class UsageEvent:
    found: strawberry.Private[SearchedEvent]
    transaction_id: str = strawberry.field(description="The sender's id of it.")
    event_type: str = strawberry.field(description="Its kind.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    received_at: datetime = strawberry.field(description="When it was accepted.")
    reference: str = strawberry.field(description="The customer as it was sent: an id or an alias.")
    properties: JSON = strawberry.field(description="What it says; numbers with a fraction are shown as strings.")
    voided_at: datetime | None = strawberry.field(description="When it was taken back; null while it counts.")
    void_reason: str | None = strawberry.field(description="Why it was taken back.")

    @object_field(scope="customers:read", description="Whose it is now; null for nobody's. Scope: customers:read.")
    async def customer(self, info: Info) -> Customer | None:
        if self.found.customer_id is None:
            return None
        return await info.context.load("customer", self.found.customer_id)

    @object_field(
        scope="invoices:read", description="How far it has come on its way to an invoice. Scope: invoices:read."
    )
    async def standing(self, info: Info) -> UsageEventStanding:
        found = self.found
        asked = event_states.AskedEvent(
            event_id(found.transaction_id), found.customer_id, found.event.timestamp, found.voided_at is not None
        )
        standing = await info.context.load("usage.standing", asked)
        return UsageEventStanding(state=standing.state, until=standing.until)

    @strawberry.field(description="Metrics whose conditions it meets.")
    def matched_metrics(self) -> list[MatchedMetric]:
        return [MatchedMetric(metric_id=item.metric_id, is_counted=item.is_counted) for item in self.found.matches]


@strawberry.type
class UsageSearch:
    @query_field(
        scope="usage:read",
        description=f"Stored events by their transaction ids, at most {MAX_IDS}, by id; for looking into single cases.",
    )
    async def usage_events(
        self,
        info: Info,
        transaction_ids: Annotated[list[str], strawberry.argument(description="The ids to look for.")],
        first: First = 25,
        after: After = None,
    ) -> Connection[UsageEvent]:
        found = [_event(item) for item in await search_events(info.context.session, transaction_ids)]
        return list_connection(found, key=lambda event: event.transaction_id, first=first, after=after)


def _event(found: SearchedEvent) -> UsageEvent:
    event = found.event
    return UsageEvent(
        found=found,
        transaction_id=found.transaction_id,
        event_type=event.event_type,
        timestamp=event.timestamp,
        received_at=found.received_at,
        reference=event.reference,
        properties=JSON(plain(event.properties)),
        voided_at=found.voided_at,
        void_reason=found.void_reason,
    )


def plain(value: Any) -> Any:
    """JSON without fractions, which a reader might take for floats."""
    match value:
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case Decimal():
            return str(value)
        case _:
            return value
