"""How subscriptions are shown in GraphQL.

Owns their type and loaders; its parts are in `api_subscription_parts.py`, what callers send is in `api_subscription_inputs.py`. Quantities and billing periods follow
from the stored history and are worked out for the caller's instant.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.catalog.api_types import Product
from app.contracts import api_proration, tables
from app.contracts.api_fee_kinds import CollectionTiming, FeePlacement
from app.contracts.api_seats import QuantityManagement, SubscriptionSeats, seats_shown
from app.contracts.api_subscription_parts import (
    BillingPeriods,
    QuantityStep,
    periods_around,
    steps_shown,
    whole_subscription,
)
from app.core.subscriptions import quantity_at
from app.custom_fields.api_types import HasCustomFields
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.values import Cadence, Interval

LOADERS["contract.subscriptions"] = rows_by(tables.SubscriptionRow, "contract_id")


@strawberry.type(description="What was agreed of a subscription.")
class SubscriptionTerms:
    name: str | None = strawberry.field(description="What people call it.")
    initial_quantity: Decimal = strawberry.field(description="Its quantity at its start.")
    anchor: datetime | None = strawberry.field(
        description="The instant from which its periods are counted; null: that of the contract's statements."
    )
    uniqueness_key: str | None = strawberry.field(description="The key that made its addition safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @object_field(
        scope="catalog:read", description="What is paid for; null for tokens of one customer. Scope: catalog:read."
    )
    async def product(self, info: Info, row: strawberry.Parent[tables.SubscriptionRow]) -> Product | None:
        # The catalog is the seller's; a customer's own token does not see it.
        return None if info.context.actor.customer_id else await info.context.load("product", row.product_id)

    @strawberry.field(description="From when to when; without an end it ends with the contract.")
    def interval(self, row: strawberry.Parent[tables.SubscriptionRow]) -> Interval:
        return Interval(starting_at=row.starting_at, ending_before=row.ending_before)

    @strawberry.field(description="How long a billing period is.")
    def billing_frequency(self, row: strawberry.Parent[tables.SubscriptionRow]) -> Cadence:  # type: ignore[valid-type]
        return Cadence(row.frequency)

    @strawberry.field(description="When fees are charged.")
    def collection(self, row: strawberry.Parent[tables.SubscriptionRow]) -> CollectionTiming:  # type: ignore[valid-type]
        return CollectionTiming(row.collection)

    @strawberry.field(description="Which invoices carry its fees.")
    def placement(self, row: strawberry.Parent[tables.SubscriptionRow]) -> FeePlacement:  # type: ignore[valid-type]
        return FeePlacement(row.placement)

    @strawberry.field(description="What a part of a billing period costs.")
    def proration(self, row: strawberry.Parent[tables.SubscriptionRow]) -> api_proration.SubscriptionProration:
        return api_proration.proration_shown(row)

    @strawberry.field(description="What its quantity is made of.")
    def quantity_management(self, row: strawberry.Parent[tables.SubscriptionRow]) -> QuantityManagement:  # type: ignore[valid-type]
        return QuantityManagement.QUANTITY_ONLY if row.seats_from is None else QuantityManagement.SEAT_BASED


@node_type(
    "subscription",
    of=tables.SubscriptionRow,
    scope="contracts:read",
    description="A quantity on a contract that is paid for by the period.",
)
class ContractSubscription(Node, HasCustomFields, SubscriptionTerms):
    @strawberry.field(description="Its quantity now; before its start the first one.")
    async def quantity(self, info: Info, row: strawberry.Parent[tables.SubscriptionRow]) -> Decimal:
        return quantity_at(await whole_subscription(info, row), info.context.now)

    @strawberry.field(description="Its quantities up to now, by time, from the start on.")
    async def quantity_history(
        self, info: Info, row: strawberry.Parent[tables.SubscriptionRow], first: First = 25, after: After = None
    ) -> Connection[QuantityStep]:
        shown = [
            step for step in steps_shown(await whole_subscription(info, row)) if step.starting_at <= info.context.now
        ]
        return list_connection(shown, key=lambda step: step.starting_at.isoformat(), first=first, after=after)

    @strawberry.field(description="Changes of its quantity that come later, by time.")
    async def quantity_schedule(
        self, info: Info, row: strawberry.Parent[tables.SubscriptionRow], first: First = 25, after: After = None
    ) -> Connection[QuantityStep]:
        shown = [
            step for step in steps_shown(await whole_subscription(info, row)) if step.starting_at > info.context.now
        ]
        return list_connection(shown, key=lambda step: step.starting_at.isoformat(), first=first, after=after)

    @strawberry.field(description="Its seats; null when its quantity is only a number.")
    async def seats(self, info: Info, row: strawberry.Parent[tables.SubscriptionRow]) -> SubscriptionSeats | None:
        return await seats_shown(info, row)

    @strawberry.field(description="Its billing periods around now.")
    async def billing_periods(self, info: Info, row: strawberry.Parent[tables.SubscriptionRow]) -> BillingPeriods:
        contract = await info.context.load("contract", row.contract_id)
        return periods_around(await whole_subscription(info, row), contract, now=info.context.now)
