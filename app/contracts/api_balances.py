"""Commits and credits in GraphQL, as far as contracts have a say in them: a customer's own, and recurring ones.

Owns two mutations; a balance is billed on a contract, and a recurring one belongs to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry

from app.contracts.api_recurring import RecurringBalance
from app.contracts.api_recurring_changes import RecurringBalanceUpdateInput, changes_of
from app.contracts.balances import create_balance
from app.contracts.recurring_changes import update_recurring
from app.grants.api import BalancePayload
from app.grants.api_inputs import BalanceCreateInput, new_grant
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.store import ids


@strawberry.type(description="Answer to a mutation of a recurring commit or credit.")
class RecurringBalancePayload(Payload):
    recurring_balance: RecurringBalance | None = strawberry.field(
        default=None, description="The recurring balance; null after an error."
    )


@strawberry.type
class ContractBalancesMutation:
    @mutation_field(
        scope="contracts:write",
        action="balance.create",
        description="Make a commit or credit of a customer; those of a contract come with the contract.",
    )
    async def balance_create(
        self, info: Info, input: Annotated[BalanceCreateInput, strawberry.argument(description="The new balance.")]
    ) -> BalancePayload:
        path = ("input", "terms")
        billed_on = None
        if input.invoice_contract_id is not None:
            billed_on = ids.from_text("contract", input.invoice_contract_id, path=("input", "invoiceContractId"))
        contracts = [
            ids.from_text("contract", item, path=("input", "contractIds", str(index)))
            for index, item in enumerate(input.contract_ids)
        ]
        entry = replace(new_grant(input.terms, path=path), contract_ids=contracts, invoice_contract_id=billed_on)
        customer_id = ids.from_text("customer", input.customer_id, path=("input", "customerId"))
        context = info.context
        row = await create_balance(context.session, context.providers, customer_id, entry, now=context.now)
        return BalancePayload(balance=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="recurring_balance.update",
        description="Change what a recurring commit or credit makes. What has begun stays as it is.",
    )
    async def recurring_balance_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the recurring balance.")],
        input: Annotated[RecurringBalanceUpdateInput, strawberry.argument(description="The changes.")],
        revision: Annotated[
            int | None, strawberry.argument(description="Revision that was read; another one is refused.")
        ] = None,
    ) -> RecurringBalancePayload:
        row = await update_recurring(
            info.context.session,
            ids.from_text("recurring_grant", id, path=("id",)),
            changes_of(input, path=("input",)),
            revision=revision,
            now=info.context.now,
        )
        return RecurringBalancePayload(recurring_balance=row)  # type: ignore[arg-type]
