"""The parts of a subscription in GraphQL: its quantities and its billing periods.

Owns their types and how they follow from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import strawberry

from app.contracts import tables
from app.contracts.fees import subscription_of
from app.contracts.quantity_history import History, histories_of
from app.contracts.terms import contract_period, schedule_of
from app.core.fees import Subscription
from app.core.period import Period
from app.core.subscriptions import billing_periods, quantity_steps
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import Interval


@strawberry.type(description="The quantity of a subscription from an instant on.")
class QuantityStep:
    starting_at: datetime = strawberry.field(description="From when on.")
    quantity: Decimal = strawberry.field(description="How much.")


@strawberry.type(description="The billing periods around now, as the subscription and the contract cut them.")
class BillingPeriods:
    previous: Interval | None = strawberry.field(description="The last one that is over.")
    current: Interval | None = strawberry.field(description="The one that holds now.")
    next: Interval | None = strawberry.field(description="The first one that begins later.")


async def _histories(context: Context, keys: Sequence[UUID]) -> Sequence[History]:
    found = await histories_of(context.session, keys)
    return [found[key] for key in keys]


LOADERS["subscription.history"] = _histories


async def whole_subscription(info: Info, row: tables.SubscriptionRow) -> Subscription:
    """A subscription with the history of its quantity."""
    return subscription_of(row, await info.context.load("subscription.history", row.id))


def steps_shown(subscription: Subscription) -> list[QuantityStep]:
    """Every quantity of a subscription, from its start on."""
    steps = {subscription.period.starting_at: subscription.initial_quantity}
    steps |= dict(quantity_steps(subscription.initial_quantity, subscription.updates))
    return [QuantityStep(starting_at=at, quantity=quantity) for at, quantity in steps.items()]


def periods_around(subscription: Subscription, contract: tables.Contract, *, now: datetime) -> BillingPeriods:
    """The billing periods before, at and after an instant."""
    # The next one begins within a year at the latest.
    soon = max(now, subscription.period.starting_at) + timedelta(days=400)
    found = billing_periods(
        subscription, contract=contract_period(contract), schedule=schedule_of(contract), begun_by=soon
    )
    cuts = [cut for _, cut in found]
    return BillingPeriods(
        previous=_interval([cut for cut in cuts if cut.ending_before is not None and cut.ending_before <= now][-1:]),
        current=_interval([cut for cut in cuts if cut.contains(now)]),
        next=_interval([cut for cut in cuts if cut.starting_at > now]),
    )


def _interval(cuts: Sequence[Period]) -> Interval | None:
    return Interval(starting_at=cuts[0].starting_at, ending_before=cuts[0].ending_before) if cuts else None
