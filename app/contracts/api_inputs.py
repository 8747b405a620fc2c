"""What callers send to list and make contracts.

Owns the GraphQL inputs and their way to what the service takes; they say nothing that it does not check.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import strawberry

from app.contracts.api_added_terms import ContractTermsInput, added_terms
from app.contracts.api_hierarchies import ContractHierarchyInput, hierarchy_of
from app.contracts.api_overrides import OverridePriority
from app.contracts.api_standing import ContractStatus, StatementScheduleInput
from app.contracts.api_transitions import ContractTransitionInput, transition_of
from app.contracts.own_terms import OwnTerms
from app.core import terms
from app.custom_fields.api_filters import DESCRIPTION, custom_fields_in
from app.graphql.scalars import CurrencyCode
from app.graphql.values import IntervalInput, KeyValueInput


@strawberry.input(description="Which contracts to list; conditions add up.")
class ContractFilter:
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Contracts of this customer.")
    status: list[ContractStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Standing in one of these ways now; default: all but archived ones."
    )
    covering_at: datetime | None = strawberry.field(default=None, description="Holding at this instant.")
    custom_fields: list[KeyValueInput] = strawberry.field(default_factory=list, description=DESCRIPTION)


@strawberry.input(description="A new contract.")
class ContractCreateInput(ContractTermsInput):
    customer_id: strawberry.ID = strawberry.field(description="Whose contract it is.")
    interval: IntervalInput = strawberry.field(description="From when to when it holds, on full hours.")
    package_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The package whose terms it has; beside it only the customer, the start, a transition and the "
        "uniqueness key are given.",
    )
    package_alias: str | None = strawberry.field(
        default=None, description="Instead of its id: an alias that the package has when the contract starts."
    )
    rate_card_id: strawberry.ID | None = strawberry.field(
        default=None, description="The prices it uses; without a card it has only fixed terms."
    )
    rate_card_alias: str | None = strawberry.field(
        default=None,
        description="Instead of its id: an alias that the card has when the contract starts. It is looked up once.",
    )
    currency: CurrencyCode | None = strawberry.field(
        default=None, description="Currency of its invoices; the card's own, and needed only without a card."
    )
    name: str | None = strawberry.field(default=None, description="What people call it, 1 to 200 characters.")
    statement: StatementScheduleInput | None = strawberry.field(
        default=None, description="When usage statements begin and end; default: calendar months."
    )
    grace_hours: int = strawberry.field(
        default=24, description="Hours after a statement period in which late usage joins it, 0 to 2,160."
    )
    priority: int = strawberry.field(
        default=100, description="Place among the customer's contracts; the lowest comes first."
    )
    net_payment_terms_days: int | None = strawberry.field(
        default=None, description="Days from the issue of an invoice to its payment; default: the provider's."
    )
    billing_configuration_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where its invoices go; default: the customer's default."
    )
    override_priority: OverridePriority = strawberry.field(  # type: ignore[valid-type]
        default=terms.OverridePriority.LOWEST_MULTIPLIER,
        description="Which of several multipliers that reach the same usage counts.",
    )
    consolidate_scheduled_charges: bool = strawberry.field(
        default=False,
        description="Whether a scheduled charge goes on the usage statement that ends on its day; it stays so.",
    )
    transition: ContractTransitionInput | None = strawberry.field(
        default=None, description="The contract that it follows, whose end moves to its start."
    )
    hierarchy: ContractHierarchyInput | None = strawberry.field(
        default=None, description="Its place in a hierarchy of contracts; default: it stands by itself."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


def own_terms_of(found: ContractCreateInput) -> OwnTerms:
    """What a new contract agrees on beside its dates."""
    added = added_terms(
        found, priority=found.override_priority, consolidate=found.consolidate_scheduled_charges, path=("input",)
    )
    return replace(
        added, custom_fields=custom_fields_in(found.custom_fields), transition=transition_of(found.transition),
        hierarchy=hierarchy_of(found.hierarchy),
    )  # fmt: skip
