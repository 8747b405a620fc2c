"""Subscriptions at marketplaces in GraphQL: who came, what waits to be matched, and how each stands.

Owns their type, their list and the match with a customer. Also the metering slots that are not proven counted, the one
that is lost first before all others: a window that closes is seen while there is time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy import select

from app.customers.api_types import BillingConfiguration, Customer
from app.delivery import matching, slot_alarms, tables
from app.delivery.api_types import DeliveryError, MeteringSlot, error_of
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, object_field, query_field
from app.graphql.nodes import Node, load_node, node_type
from app.graphql.payload import Payload
from app.graphql.values import KeyValue, described_enum, key_values
from app.store import ids
from connectors import subscriptions

ROWS = tables.MarketplaceSubscription.__table__.c  # type: ignore[attr-defined]
SLOTS = tables.MeteringSlot.__table__.c  # type: ignore[attr-defined]
SubscriptionState = described_enum(
    subscriptions.SubscriptionState,
    name="MarketplaceSubscriptionState",
    description="Where a buyer's subscription stands. Usage is sent while it is ACTIVE.",
    sentences={
        subscriptions.SubscriptionState.PENDING: "It was bought, and its billing has not begun.",
        subscriptions.SubscriptionState.ACTIVE: "The marketplace bills it.",
        subscriptions.SubscriptionState.SUSPENDED: "The marketplace takes no usage now; it may come back.",
        subscriptions.SubscriptionState.ENDED: "It is over; what is owed is sent until meteringUntil.",
    },
)


@node_type(
    "marketplace_subscription",
    of=tables.MarketplaceSubscription,
    scope="delivery:read",
    description="What one buyer subscribed to at a marketplace, as the marketplace showed it last.",
)
class MarketplaceSubscription(Node):
    provider: str = strawberry.field(description="Name of the marketplace.")
    connection: str = strawberry.field(description="Name of our account there.")
    reference: str = strawberry.field(description="The marketplace's id of it: a license, or a subscription.")
    provider_status: str = strawberry.field(description="The marketplace's own word for its state.")
    offer: str = strawberry.field(description="What was bought; empty when it is not known.")
    plan: str = strawberry.field(description="Its plan; empty where there is none.")
    quantity: str = strawberry.field(description="How many, as the marketplace tells it; empty where it does not.")
    activated_at: datetime | None = strawberry.field(description="When it was seen active first.")
    ended_at: datetime | None = strawberry.field(description="When it ended.")
    metering_until: datetime | None = strawberry.field(
        description="Until when usage is still taken after its end; what is owed by then and not sent is not billed there."
    )
    created_at: datetime = strawberry.field(description="When it was heard of first.")
    updated_at: datetime = strawberry.field(description="When it changed last.")

    @strawberry.field(description="Where it stands.")
    def state(self, row: strawberry.Parent[tables.MarketplaceSubscription]) -> SubscriptionState:  # type: ignore[valid-type]
        return subscriptions.SubscriptionState(row.state)

    @strawberry.field(description="What a billing configuration for it has as settings, sorted by key.")
    def settings(self, row: strawberry.Parent[tables.MarketplaceSubscription]) -> list[KeyValue]:
        return key_values(row.settings)

    @strawberry.field(description="What the marketplace tells of the buyer, sorted by key.")
    def buyer(self, row: strawberry.Parent[tables.MarketplaceSubscription]) -> list[KeyValue]:
        return key_values(row.buyer)

    @strawberry.field(description="What the buyer told on the page of arrival, sorted by key. Nobody has checked it.")
    def contact(self, row: strawberry.Parent[tables.MarketplaceSubscription]) -> list[KeyValue]:
        return key_values(row.contact)

    @strawberry.field(description="Why the last call about it failed; null when it did not.")
    def last_error(self, row: strawberry.Parent[tables.MarketplaceSubscription]) -> DeliveryError | None:
        return error_of(row)

    @object_field(scope="customers:read", description="Whose it is; null until it is matched. Scope: customers:read.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.MarketplaceSubscription]) -> Customer | None:
        return None if row.customer_id is None else await info.context.load("customer", row.customer_id)

    @object_field(scope="customers:read", description="The configuration that bills it. Scope: customers:read.")
    async def billing_configuration(
        self, info: Info, row: strawberry.Parent[tables.MarketplaceSubscription]
    ) -> BillingConfiguration | None:
        identifier = row.billing_configuration_id
        return None if identifier is None else await info.context.load("billing_configuration", identifier)


@strawberry.input(description="Which subscriptions to list; conditions add up.")
class MarketplaceSubscriptionFilter:
    state: list[SubscriptionState] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states."
    )
    provider: list[str] | None = strawberry.field(default=None, description="Those of one of these marketplaces.")
    is_matched: bool | None = strawberry.field(default=None, description="Those with a customer, or those without.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this customer.")


@strawberry.input(description="Which customer a subscription belongs to.")
class MarketplaceSubscriptionMatchInput:
    id: strawberry.ID = strawberry.field(description="Id of the subscription.")
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    is_default: bool = strawberry.field(
        default=False, description="Make its billing configuration the customer's default."
    )


@strawberry.type(description="Answer to a mutation of a subscription at a marketplace.")
class MarketplaceSubscriptionPayload(Payload):
    marketplace_subscription: MarketplaceSubscription | None = strawberry.field(
        default=None, description="The subscription; null after an error."
    )


@strawberry.type
class SubscriptionsQuery:
    @query_field(scope="delivery:read", description="One subscription at a marketplace; null when there is none.")
    async def marketplace_subscription(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the subscription.")]
    ) -> MarketplaceSubscription | None:
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.MarketplaceSubscription) else None  # type: ignore[return-value]

    @query_field(scope="delivery:read", description="Subscriptions at marketplaces, newest first.")
    async def marketplace_subscriptions(
        self,
        info: Info,
        filter: Annotated[
            MarketplaceSubscriptionFilter | None, strawberry.argument(description="Which subscriptions.")
        ] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[MarketplaceSubscription]:
        statement = select(tables.MarketplaceSubscription)
        if filter is not None and filter.state is not None:
            statement = statement.where(ROWS.state.in_([state.value for state in filter.state]))
        if filter is not None and filter.provider is not None:
            statement = statement.where(ROWS.provider.in_(filter.provider))
        if filter is not None and filter.is_matched is not None:
            statement = statement.where(ROWS.customer_id.is_not(None) == filter.is_matched)
        if filter is not None and filter.customer_id is not None:
            identifier = ids.from_text("customer", filter.customer_id, path=("filter", "customerId"))
            statement = statement.where(ROWS.customer_id == identifier)
        return await connection(info, statement, sort=[ROWS.id], descending=True, first=first, after=after)

    @query_field(
        scope="delivery:read",
        description="Metering slots that are not proven counted, oldest hour first: those whose window closes soonest.",
    )
    async def unproven_metering_slots(
        self,
        info: Info,
        only_alarmed: Annotated[
            bool, strawberry.argument(description="Only those that need somebody, or soon will: see alarm.")
        ] = False,
        first: First = 25,
        after: After = None,
    ) -> Connection[MeteringSlot]:
        statement = select(tables.MeteringSlot).where(SLOTS.status.in_(slot_alarms.UNPROVEN))
        if only_alarmed:
            statement = statement.where(slot_alarms.is_alarmed(info.context.now))
        sort = [SLOTS.hour, SLOTS.id]
        return await connection(info, statement, sort=sort, descending=False, first=first, after=after)


@strawberry.type
class SubscriptionsMutation:
    @mutation_field(
        scope="delivery:write",
        action="marketplace_subscription.match",
        description="Match a subscription with a customer: its billing configuration is made, and its billing begins.",
    )
    async def marketplace_subscription_match(
        self,
        info: Info,
        input: Annotated[MarketplaceSubscriptionMatchInput, strawberry.argument(description="Which, and whose.")],
    ) -> MarketplaceSubscriptionPayload:
        row = await matching.link(
            info.context.session,
            info.context.providers,
            ids.from_text("marketplace_subscription", input.id, path=("input", "id")),
            customer_id=ids.from_text("customer", input.customer_id, path=("input", "customerId")),
            is_default=input.is_default,
            now=info.context.now,
        )
        return MarketplaceSubscriptionPayload(marketplace_subscription=row)  # type: ignore[arg-type]
