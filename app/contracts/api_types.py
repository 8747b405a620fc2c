"""How contracts are shown.

Owns their GraphQL type and the loader of a customer's contracts. A contract's state follows from its dates and is
computed for the caller's instant, never stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.catalog.api_card_types import RateCard
from app.contracts import api_edits, api_hierarchies, api_past, api_routes, tables
from app.contracts.api_overrides import Override, OverridePriority
from app.contracts.api_rate_schedule import rate_schedule
from app.contracts.api_standing import ContractStatus, StatementSchedule, schedule_shown, status_at
from app.custom_fields.api_types import HasCustomFields
from app.customers.api_types import BillingConfiguration, Customer
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Interval

if TYPE_CHECKING:
    from app.contracts.api_charges import ScheduledCharge
    from app.contracts.api_filters import UsageFilter
    from app.contracts.api_package_types import Package
    from app.contracts.api_recurring import RecurringBalance
    from app.contracts.api_subscriptions import ContractSubscription
    from app.contracts.api_thresholds import ContractThreshold
    from app.contracts.api_transitions import ContractTransition
    from app.invoices.api_types import Invoice


@node_type("contract", of=tables.Contract, scope="contracts:read", description="One agreement with a customer.")
class Contract(Node, HasCustomFields):
    name: str | None = strawberry.field(description="What people call it.")
    grace_hours: int = strawberry.field(description="Hours after a statement period in which late usage joins it.")
    priority: int = strawberry.field(description="Place among the customer's contracts; the lowest comes first.")
    net_payment_terms_days: int | None = strawberry.field(
        description="Days from the issue of an invoice to its payment; null leaves it to the provider."
    )
    revision: int = strawberry.field(description="Counts changes; pass it back to refuse overwriting another one.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="When it was ended for good by hand.")

    @strawberry.field(description="Where it stands now.")
    def status(self, info: Info, row: strawberry.Parent[tables.Contract]) -> ContractStatus:  # type: ignore[valid-type]
        return status_at(row, info.context.now)

    @strawberry.field(description="From when to when it holds.")
    def interval(self, row: strawberry.Parent[tables.Contract]) -> Interval:
        return Interval(starting_at=row.starting_at, ending_before=row.ending_before)

    @strawberry.field(
        description="The package of which it was made; null when it was made of terms, and for tokens of one customer."
    )
    async def package(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> Annotated[Package, strawberry.lazy("app.contracts.api_package_types")] | None:
        # A package belongs to the seller and serves many customers.
        if row.package_id is None or info.context.actor.customer_id is not None:
            return None
        return await info.context.load("package", row.package_id)

    @strawberry.field(description="The contract that it follows, and how; null when it follows none.")
    async def transitioned_from(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> Annotated[ContractTransition, strawberry.lazy("app.contracts.api_transitions")] | None:
        return await info.context.load("contract.transitioned_from", row.id)

    @strawberry.field(description="The contract that follows it, and how; null when none does, or an archived one.")
    async def transitioned_to(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> Annotated[ContractTransition, strawberry.lazy("app.contracts.api_transitions")] | None:
        return await info.context.load("contract.transitioned_to", row.id)

    @strawberry.field(description="Currency of its invoices.")
    def currency(self, row: strawberry.Parent[tables.Contract]) -> CurrencyCode:
        return CurrencyCode(row.currency)

    @strawberry.field(description="When its usage statements begin and end.")
    def statement(self, row: strawberry.Parent[tables.Contract]) -> StatementSchedule:
        return schedule_shown(row)

    @strawberry.field(description="Which of several multipliers that reach the same usage counts.")
    def override_priority(self, row: strawberry.Parent[tables.Contract]) -> OverridePriority:  # type: ignore[valid-type]
        return OverridePriority(row.override_priority)

    @strawberry.field(description="Its own changes of list prices, at most 500, in the order in which they were added.")
    async def overrides(self, info: Info, row: strawberry.Parent[tables.Contract]) -> list[Override]:
        return await info.context.load("contract.overrides", row.id)

    @strawberry.field(
        description="Which of the customer's usage it takes, by start, at most 100; before the first, and without any, "
        "it takes all."
    )
    async def usage_filters(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[UsageFilter, strawberry.lazy("app.contracts.api_filters")]]:
        return await info.context.load("contract.usage_filters", row.id)

    @strawberry.field(description="Whether its scheduled charges go on the usage statements that end on their days.")
    def consolidate_scheduled_charges(self, row: strawberry.Parent[tables.Contract]) -> bool:
        return row.consolidate_charges

    @strawberry.field(description="Fixed amounts on given dates, at most 500, in the order in which they were added.")
    async def scheduled_charges(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[ScheduledCharge, strawberry.lazy("app.contracts.api_charges")]]:
        return await info.context.load("contract.scheduled_charges", row.id)

    @strawberry.field(
        description="Quantities that are paid for by the period, at most 500, in the order in which they were added."
    )
    async def subscriptions(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[ContractSubscription, strawberry.lazy("app.contracts.api_subscriptions")]]:
        return await info.context.load("contract.subscriptions", row.id)

    @strawberry.field(
        description="What makes commits and credits again and again, at most 100, in the order in which they were added."
    )
    async def recurring_balances(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[RecurringBalance, strawberry.lazy("app.contracts.api_recurring")]]:
        return await info.context.load("contract.recurring_balances", row.id)

    @strawberry.field(description="When it buys prepaid commits, by kind; at most one of each.")
    async def thresholds(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[ContractThreshold, strawberry.lazy("app.contracts.api_thresholds")]]:
        return await info.context.load("contract.thresholds", row.id)

    hierarchy = strawberry.field(
        resolver=api_hierarchies.of_contract,
        description="Its place in a hierarchy; null for one that is no child and was not made to be a parent.",
    )

    children = strawberry.field(
        resolver=api_hierarchies.children,
        description="The contracts whose parent it is, oldest first, archived ones too.",
    )

    edit_history = strawberry.field(
        resolver=api_edits.edit_history,
        description="Every change of it since it was made, newest first, by whatever mutation. "
        "Empty for tokens of one customer.",
    )

    as_of = strawberry.field(
        resolver=api_past.as_of,
        description="What was agreed as it was known at an instant of the past; null before it was made, and for tokens of "
        "one customer. Invoices and ledgers have no past of their own.",
    )

    rate_schedule = strawberry.field(
        resolver=rate_schedule,
        description="What it costs at one instant: what it is entitled to, in the order of lines on its invoices. "
        "A price for some pricing values stands beside that for all others.",
    )

    @object_field(scope="customers:read", description="Whose contract it is. Scope: customers:read.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.Contract]) -> Customer:
        return await info.context.load("customer", row.customer_id)

    @object_field(
        scope="catalog:read",
        description="The prices it uses; null when it has only fixed terms, and for tokens of one customer. "
        "Scope: catalog:read.",
    )
    async def rate_card(self, info: Info, row: strawberry.Parent[tables.Contract]) -> RateCard | None:
        # A card belongs to the seller and serves many customers, so a customer's own token does not see it.
        if row.rate_card_id is None or info.context.actor.customer_id is not None:
            return None
        return await info.context.load("rate_card", row.rate_card_id)

    @object_field(
        scope="customers:read",
        description="Where its invoices go whose service begins now; null leaves it to the customer's default. "
        "Scope: customers:read.",
    )
    async def billing_configuration(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> BillingConfiguration | None:
        choices = await info.context.load("contract.choices", row.id)
        return await api_routes.chosen_at(info, choices, info.context.now)

    billing_configuration_schedule = strawberry.field(
        resolver=api_routes.schedule_of_contract,
        description="Where its invoices go over time, by start, at most 10 segments; each begins with a statement period.",
    )

    @object_field(
        scope="invoices:read",
        description="What its open statements say now, earliest due first, at most 24. Scope: invoices:read.",
    )
    async def drafts(
        self, info: Info, row: strawberry.Parent[tables.Contract]
    ) -> list[Annotated[Invoice, strawberry.lazy("app.invoices.api_types")]]:
        return await info.context.load("contract.drafts", row.id)
