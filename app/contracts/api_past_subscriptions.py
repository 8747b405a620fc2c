"""Subscriptions as of an instant of the past, in GraphQL.

Owns their type. What they cost since then is on invoices; this says only what was agreed.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.contracts import tables
from app.contracts.api_seats import SubscriptionSeats, seats_of
from app.contracts.api_subscription_parts import QuantityStep, steps_shown
from app.contracts.api_subscriptions import SubscriptionTerms
from app.contracts.fees import subscription_of
from app.contracts.past import PastTerms
from app.contracts.quantity_history import History, seat_change_of
from app.core.fees import Subscription
from app.core.subscriptions import quantity_at
from app.graphql.connection import After, Connection, First, list_connection
from app.store.ids import to_text


@strawberry.type(description="A subscription as it was known at an instant.")
class PastSubscription:
    row: strawberry.Private[tables.SubscriptionRow]
    subscription: strawberry.Private[Subscription]
    history: strawberry.Private[History]
    at: strawberry.Private[datetime]

    @strawberry.field(description="Its id, that of the subscription of today.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(to_text("subscription", self.row.id))

    @strawberry.field(description="What was agreed of it.")
    def terms(self) -> SubscriptionTerms:
        return self.row  # type: ignore[return-value]

    @strawberry.field(description="Its quantity at the instant; before its start the first one.")
    def quantity(self) -> Decimal:
        return quantity_at(self.subscription, self.at)

    @strawberry.field(description="Its quantities by time, from the start on, those to come among them.")
    def quantities(self, first: First = 25, after: After = None) -> Connection[QuantityStep]:
        steps = steps_shown(self.subscription)
        return list_connection(steps, key=lambda step: step.starting_at.isoformat(), first=first, after=after)

    @strawberry.field(description="Its seats at the instant; null when its quantity was only a number.")
    def seats(self) -> SubscriptionSeats | None:
        return seats_of(self.row, self.history.seat_changes, at=self.at)


def past_subscription(terms: PastTerms, row: tables.SubscriptionRow) -> PastSubscription:
    """A subscription with the changes of its quantity that were known."""
    updates = [item for item in terms.of(tables.QuantityUpdateRow) if item.subscription_id == row.id]
    seats = [item for item in terms.of(tables.SeatChangeRow) if item.subscription_id == row.id]
    history = History(
        sorted(updates, key=lambda item: item.added),
        [seat_change_of(item) for item in sorted(seats, key=lambda item: item.added)],
    )
    return PastSubscription(row=row, subscription=subscription_of(row, history), history=history, at=terms.at)
