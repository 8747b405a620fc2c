"""Terms of a contract, as callers send them with a new contract and to add them to one.

Owns the GraphQL input that both share and its way to the service. Names that are given to parts of one request are
settled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import strawberry

from app.checks import Path
from app.contracts.api_filters import UsageFilterInput, filter_of
from app.contracts.api_new_fees import ScheduledChargeInput, SubscriptionInput, new_fees
from app.contracts.api_override_inputs import OverrideInput, coming_balances, coming_objects, own_prices
from app.contracts.api_recurring_inputs import RecurringBalanceInput, new_recurring_grants
from app.contracts.api_threshold_inputs import ThresholdInput, threshold_of
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.core import terms
from app.grants.api_inputs import BalanceInput, new_grants


@strawberry.input(description="Terms to add to a contract; they meet the same rules as those of a new one.")
class ContractTermsInput:
    overrides: list[OverrideInput] = strawberry.field(
        default_factory=list,
        description="Its own changes of list prices, at most 500, in the order in which they count.",
    )
    usage_filters: list[UsageFilterInput] = strawberry.field(
        default_factory=list,
        description="Which of the customer's usage it takes, at most 100 changes in time; default: all of it.",
    )
    scheduled_charges: list[ScheduledChargeInput] = strawberry.field(
        default_factory=list, description="Fixed amounts on given dates, at most 500."
    )
    subscriptions: list[SubscriptionInput] = strawberry.field(
        default_factory=list, description="Quantities that are paid for by the period, at most 500."
    )
    balances: list[BalanceInput] = strawberry.field(
        default_factory=list, description="Its commits and credits, at most 500."
    )
    recurring_balances: list[RecurringBalanceInput] = strawberry.field(
        default_factory=list, description="Commits and credits that it brings again and again, at most 100."
    )
    thresholds: list[ThresholdInput] = strawberry.field(
        default_factory=list,
        description="When it buys prepaid commits, one of each kind; in an edit each replaces that of its kind.",
    )


def added_terms(
    found: ContractTermsInput, *, priority: terms.OverridePriority | None = None, consolidate: bool = False, path: Path
) -> OwnTerms:
    """The terms as the service takes them; `path` is that of the input."""
    balances = new_grants(found.balances, path=(*path, "balances"))
    fees = new_fees(found.scheduled_charges, found.subscriptions, consolidate=consolidate, path=path)
    recurring = new_recurring_grants(
        found.recurring_balances, coming=coming_subscriptions(found, fees), path=(*path, "recurringBalances")
    )
    coming = coming_balances(
        zip([item.temporary_id for item in found.balances], [made.id for made in balances], strict=True),
        zip([item.temporary_id for item in found.recurring_balances], [made.id for made in recurring], strict=True),
    )
    return OwnTerms(
        prices=own_prices(
            found.overrides, priority or terms.OverridePriority.LOWEST_MULTIPLIER, coming=coming,
            path=(*path, "overrides"),
        ),
        usage_filters=[filter_of(item) for item in found.usage_filters],
        fees=fees,
        grants=balances,
        recurring=recurring,
        thresholds=[
            threshold_of(item, path=(*path, "thresholds", str(index))) for index, item in enumerate(found.thresholds)
        ],
    )  # fmt: skip


def coming_subscriptions(found: ContractTermsInput, fees: NewFees) -> Mapping[str, UUID]:
    """The subscriptions of the request by temporary id."""
    made = [subscription.id for subscription in fees.subscriptions]
    return coming_objects(zip([item.temporary_id for item in found.subscriptions], made, strict=True))
