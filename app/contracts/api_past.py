"""The terms of a contract as of an instant of the past, in GraphQL.

Owns their types. They say what was agreed, as it was known then; what invoices and ledgers made of it has no past of its
own and cannot be asked for here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.contracts import api_hierarchies, api_routes, api_thresholds, past, tables
from app.contracts.api_filters import UsageFilter, shown_filters
from app.contracts.api_overrides import Override
from app.contracts.api_past_balances import PastBalance, PastRecurringBalance
from app.contracts.api_past_subscriptions import PastSubscription, past_subscription
from app.core import routing, terms
from app.customers.api_types import BillingConfiguration
from app.errors import ErrorCode, InvalidInput
from app.grants.tables import GrantRow, RecurringGrantRow, SegmentRow
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.values import Interval, KeyValue, key_values

if TYPE_CHECKING:
    from app.contracts.api_charges import ScheduledCharge


@strawberry.type(description="What was agreed in a contract, as it was known at an instant.")
class ContractPast:
    terms: strawberry.Private[past.PastTerms]
    at: datetime = strawberry.field(description="The instant; changes of that instant are in.")
    revision: int = strawberry.field(description="The revision that the contract had.")
    name: str | None = strawberry.field(description="What people called it.")
    interval: Interval = strawberry.field(description="From when to when it was to hold.")
    net_payment_terms_days: int | None = strawberry.field(
        description="Days from the issue of an invoice to its payment; null left it to the provider."
    )
    archived_at: datetime | None = strawberry.field(description="When it had been ended for good by hand.")
    custom_fields: list[KeyValue] = strawberry.field(description="Its custom fields, by key.")

    @strawberry.field(description="Its place in a hierarchy; null for one that was in none.")
    def hierarchy(self) -> api_hierarchies.ContractHierarchy | None:
        return api_hierarchies.hierarchy_shown(self.terms.contract)

    @object_field(
        scope="customers:read",
        description="Where its invoices went whose service began then, as that is today; null left it to the customer's "
        "default. Scope: customers:read.",
    )
    async def billing_configuration(self, info: Info) -> BillingConfiguration | None:
        return await api_routes.chosen_at(info, self._choices(), self.at)

    @strawberry.field(description="Where its invoices were to go over time, by start.")
    def billing_configuration_schedule(self) -> list[api_routes.BillingConfigurationSegment]:
        return api_routes.segments_shown(self.terms.contract, self._choices())

    def _choices(self) -> list[routing.Choice]:
        return api_routes.known_choices(self.terms.contract, self.terms.of(tables.BillingConfigurationUpdateRow))

    @strawberry.field(description="Which of the customer's usage it took, by start.")
    def usage_filters(self) -> list[UsageFilter]:
        rows = sorted(self.terms.of(tables.UsageFilterRow), key=lambda row: row.added)
        by_start = {row.starting_at: terms.UsageFilter(row.starting_at, row.key, tuple(row.values)) for row in rows}
        return shown_filters([by_start[start] for start in sorted(by_start)])

    @strawberry.field(description="Its changes of list prices, in the order in which they were added.")
    def overrides(self) -> list[Override]:
        return [row for row in self.terms.of(tables.OverrideRow) if row.removed_at is None]  # type: ignore[misc]

    @strawberry.field(description="Its fixed amounts on given dates, in the order in which they were added.")
    def scheduled_charges(self) -> list[Annotated[ScheduledCharge, strawberry.lazy("app.contracts.api_charges")]]:
        return [row for row in self.terms.of(tables.ScheduledChargeRow) if row.archived_at is None]  # type: ignore[misc]

    @strawberry.field(description="Its subscriptions, in the order in which they were added.")
    def subscriptions(self) -> list[PastSubscription]:
        return [past_subscription(self.terms, row) for row in self.terms.of(tables.SubscriptionRow)]

    @strawberry.field(description="When it bought prepaid commits, by kind.")
    def thresholds(self) -> list[api_thresholds.ContractThreshold]:
        rows = [row for row in self.terms.of(tables.ThresholdRow) if row.removed_at is None]
        return [api_thresholds.threshold_shown(row) for row in sorted(rows, key=lambda row: row.kind)]

    @strawberry.field(description="What made commits and credits again and again.")
    def recurring_balances(self) -> list[PastRecurringBalance]:
        return [PastRecurringBalance(row=row) for row in self.terms.of(RecurringGrantRow)]

    @strawberry.field(description="Its commits and credits, those that recurring ones had made among them.")
    def balances(self) -> list[PastBalance]:
        segments = [row for row in self.terms.of(SegmentRow) if row.removed_at is None]
        return [
            PastBalance(row=row, stored=[item for item in segments if item.grant_id == row.id])
            for row in self.terms.of(GrantRow)
        ]


async def as_of(
    info: Info,
    row: strawberry.Parent[tables.Contract],
    at: Annotated[datetime, strawberry.argument(description="The instant, not later than now.")],
) -> ContractPast | None:
    """The terms of a contract as they were known at an instant."""
    if at > info.context.now:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{at.isoformat()} has not come yet; it is {info.context.now.isoformat()}. Ask the contract itself.",
            path=("at",),
        )
    # As its history, the past of a contract is the seller's.
    terms = None if info.context.actor.customer_id else await past.terms_at(info.context.session, row, at)
    if terms is None:
        return None
    contract = terms.contract
    return ContractPast(
        terms=terms, at=at, revision=contract.revision, name=contract.name,
        interval=Interval(starting_at=contract.starting_at, ending_before=contract.ending_before),
        net_payment_terms_days=contract.net_payment_terms_days, archived_at=contract.archived_at,
        custom_fields=key_values(terms.custom_fields),
    )  # fmt: skip
