"""Scheduled charges and subscriptions in GraphQL: what can be done with them.

Owns the mutations that come after the create of a contract; the rules are in the modules of the terms.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.contracts.api import ID
from app.contracts.api_charge_inputs import ScheduledChargeInput, new_charge
from app.contracts.api_charges import ScheduledCharge
from app.contracts.api_subscription_inputs import QuantityUpdateInput, SubscriptionInput, new_subscription
from app.contracts.api_subscriptions import ContractSubscription
from app.contracts.charges import add_scheduled_charge
from app.contracts.quantities import update_quantity
from app.contracts.subscriptions import add_subscription
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.store import ids

Revision = Annotated[int | None, strawberry.argument(description="Revision that was read; another one is refused.")]
Key = Annotated[
    str | None,
    strawberry.argument(
        description="Makes the addition safe to repeat: a second use is refused and names the first object."
    ),
]


@strawberry.type(description="Answer to a mutation of a scheduled charge.")
class ScheduledChargePayload(Payload):
    scheduled_charge: ScheduledCharge | None = strawberry.field(
        default=None, description="The charge; null after an error."
    )


@strawberry.type(description="Answer to a mutation of a subscription.")
class ContractSubscriptionPayload(Payload):
    subscription: ContractSubscription | None = strawberry.field(
        default=None, description="The subscription; null after an error."
    )


@strawberry.type
class FeesMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.add_scheduled_charge",
        description="Charge a fixed amount on given dates. What is dated up to now is billed at once; where an invoice "
        "of that date is final, on a further one.",
    )
    async def contract_add_scheduled_charge(
        self,
        info: Info,
        id: ID,
        input: Annotated[ScheduledChargeInput, strawberry.argument(description="The charge.")],
        revision: Revision = None,
        uniqueness_key: Key = None,
    ) -> ScheduledChargePayload:
        row = await add_scheduled_charge(
            info.context.session,
            info.context.providers,
            ids.from_text("contract", id, path=("id",)),
            new_charge(input, path=("input",)),
            revision=revision,
            uniqueness_key=uniqueness_key,
            now=info.context.now,
        )
        return ScheduledChargePayload(scheduled_charge=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="contract.add_subscription",
        description="Let a contract pay for a quantity by the period.",
    )
    async def contract_add_subscription(
        self,
        info: Info,
        id: ID,
        input: Annotated[SubscriptionInput, strawberry.argument(description="The subscription.")],
        revision: Revision = None,
        uniqueness_key: Key = None,
    ) -> ContractSubscriptionPayload:
        row = await add_subscription(
            info.context.session,
            ids.from_text("contract", id, path=("id",)),
            new_subscription(input, path=("input",)),
            revision=revision,
            uniqueness_key=uniqueness_key,
            now=info.context.now,
        )
        return ContractSubscriptionPayload(subscription=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="subscription.update_quantity",
        description="Change the quantity of a subscription from an hour on. Updates of one instant apply in the order "
        "in which they come; the history is kept.",
    )
    async def subscription_update_quantity(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the subscription.")],
        input: Annotated[QuantityUpdateInput, strawberry.argument(description="The change.")],
    ) -> ContractSubscriptionPayload:
        row = await update_quantity(
            info.context.session,
            ids.from_text("subscription", id, path=("id",)),
            starting_at=input.starting_at,
            quantity=input.quantity,
            delta=input.delta,
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return ContractSubscriptionPayload(subscription=row)  # type: ignore[arg-type]
