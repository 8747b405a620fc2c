"""The parts of a subscription in GraphQL: its proration, its quantities, its billing periods.

Owns their types and how they follow from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import strawberry

from app.contracts import tables
from app.contracts.api_fee_kinds import FeeRoundingMethod, IncreaseBilling
from app.contracts.fees import subscription_of, updates_of
from app.contracts.terms import contract_period, schedule_of
from app.core.fees import Subscription
from app.core.period import Period
from app.core.subscriptions import billing_periods, quantity_steps
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import Interval


@strawberry.type(description="How a prorated fee is rounded.")
class FeeRounding:
    method: FeeRoundingMethod = strawberry.field(description="Where a fee between two steps goes.")  # type: ignore[valid-type]
    decimal_places: int = strawberry.field(description="Decimals of the major unit; negative for tens and hundreds.")


@strawberry.type(description="What a part of a billing period costs.")
class SubscriptionProration:
    prorate: bool = strawberry.field(description="Whether a part costs its share of the time; else the whole fee.")
    increases: IncreaseBilling = strawberry.field(  # type: ignore[valid-type]
        description="When an increase in mid-period is charged."
    )
    rounding: FeeRounding | None = strawberry.field(description="How a share is rounded; null: it stays exact.")


@strawberry.type(description="The quantity of a subscription from an instant on.")
class QuantityStep:
    starting_at: datetime = strawberry.field(description="From when on.")
    quantity: Decimal = strawberry.field(description="How much.")


@strawberry.type(description="The billing periods around now, as the subscription and the contract cut them.")
class BillingPeriods:
    previous: Interval | None = strawberry.field(description="The last one that is over.")
    current: Interval | None = strawberry.field(description="The one that holds now.")
    next: Interval | None = strawberry.field(description="The first one that begins later.")


async def _histories(context: Context, keys: Sequence[UUID]) -> Sequence[list[tables.QuantityUpdateRow]]:
    found = await updates_of(context.session, keys)
    return [found[key] for key in keys]


LOADERS["subscription.updates"] = _histories


async def whole_subscription(info: Info, row: tables.SubscriptionRow) -> Subscription:
    """A subscription with the history of its quantity."""
    return subscription_of(row, await info.context.load("subscription.updates", row.id))


def proration_shown(row: tables.SubscriptionRow) -> SubscriptionProration:
    """What a part of a billing period of a subscription costs."""
    rounding = None
    if row.rounding_method is not None and row.rounding_places is not None:
        rounding = FeeRounding(method=FeeRoundingMethod(row.rounding_method), decimal_places=row.rounding_places)
    return SubscriptionProration(prorate=row.prorate, increases=IncreaseBilling(row.increases), rounding=rounding)


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
