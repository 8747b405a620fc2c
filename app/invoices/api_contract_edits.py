"""Edits of contracts in GraphQL: what callers send, and the mutation.

Owns the inputs and their way to the service; the mutation stands here because final invoices have a say in it. The rules
are in `contract_edits.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.contracts.api import ID, ContractPayload
from app.contracts.api_added_terms import ContractTermsInput, added_terms, coming_subscriptions
from app.contracts.api_edits import ContractEdit
from app.contracts.api_routes import BillingConfigurationUpdateInput, update_asked
from app.contracts.api_subscription_inputs import QuantityUpdateInput
from app.contracts.api_subscription_links import subscription_of
from app.contracts.editing import QuantityEdit, TermsEdit
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.invoices import amendments, contract_edits
from app.invoices.api_edited_parts import ContractPartsInput, parts_of
from app.store import ids


@strawberry.input(description="A change of one subscription's quantity: give a quantity or a delta, one of the two.")
class ContractQuantityUpdateInput(QuantityUpdateInput):
    subscription_id: str = strawberry.field(
        description="Id of a subscription of the contract, or the temporaryId of one that comes with the edit."
    )


@strawberry.input(description="One edit of a contract: all of it is carried out, or nothing. What is left out stays.")
class ContractEditInput(ContractPartsInput):
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="What people call it, 1 to 200 characters; null: nothing."
    )
    net_payment_terms_days: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="Days from the issue of an invoice to its payment; null leaves it to the provider.",
    )
    ending_before: datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="The new end, a full hour; null: open-ended. It moves before anything is added, and what the "
        "contract has does not grow with it.",
    )
    allow_ending_before_finalized_invoice: bool = strawberry.field(
        default=True, description="False refuses an end before that of a usage invoice that is final."
    )
    add: ContractTermsInput | None = strawberry.field(
        default=None, description="Terms to add; limits count those that the contract has."
    )
    remove_overrides: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Overrides that count no more; they go before others are added."
    )
    quantity_updates: list[ContractQuantityUpdateInput] = strawberry.field(
        default_factory=list, description="Changes of quantities, at most 100, in the order in which they count."
    )
    billing_configuration_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Where its coming invoices go; null leaves it to the customer's default. Finalized ones go where they "
        "were meant to.",
    )
    add_billing_configuration_update: BillingConfigurationUpdateInput | None = strawberry.field(
        default=None, description="Where its invoices go from a statement period on; at most 9 such updates."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the edit safe to repeat: a second use is refused and names the first edit."
    )


@strawberry.input(description="An amendment: terms that come from an instant on. It only adds.")
class ContractAmendInput:
    starting_at: datetime = strawberry.field(
        description="From when on, a full hour within the contract. What is added without a start of its own begins then; "
        "nothing of it begins earlier."
    )
    add: ContractTermsInput = strawberry.field(description="The terms; limits count those that the contract has.")
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the amendment safe to repeat, in one space with the keys of edits."
    )


@strawberry.type(description="Answer to an edit of a contract.")
class ContractEditPayload(ContractPayload):
    edit: ContractEdit | None = strawberry.field(
        default=None, description="The record of the edit, with the ids of what it made; null after an error."
    )


@strawberry.type
class ContractEditsMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.edit",
        description="Change a contract in one step: its terms, balances, name and end. Drafts follow at once; finalized "
        "invoices stay as they are, void and regenerate them to take it in.",
    )
    async def contract_edit(
        self,
        info: Info,
        id: ID,
        input: Annotated[ContractEditInput, strawberry.argument(description="The changes.")],
        revision: Annotated[
            int | None, strawberry.argument(description="Revision that was read; another one is refused.")
        ] = None,
    ) -> ContractEditPayload:
        context = info.context
        made = await contract_edits.edit_contract(
            context.session, context.providers, ids.from_text("contract", id, path=("id",)), edit_asked(input),
            actor=context.actor, revision=revision, now=context.now,
        )  # fmt: skip
        return ContractEditPayload(
            contract=made.contract, edit=made.record, warnings=list(made.warnings)  # type: ignore[arg-type]
        )  # fmt: skip

    @mutation_field(
        scope="contracts:write",
        action="contract.amend",
        description="Add terms to a contract from an instant on. It is an edit that changes nothing else, and its record "
        "is the amendment.",
    )
    async def contract_amend(
        self,
        info: Info,
        id: ID,
        input: Annotated[ContractAmendInput, strawberry.argument(description="The amendment.")],
        revision: Annotated[
            int | None, strawberry.argument(description="Revision that was read; another one is refused.")
        ] = None,
    ) -> ContractEditPayload:
        context = info.context
        made = await amendments.amend_contract(
            context.session, context.providers, ids.from_text("contract", id, path=("id",)),
            added_terms(input.add, path=("input", "add")), starting_at=input.starting_at,
            uniqueness_key=input.uniqueness_key, actor=context.actor, revision=revision, now=context.now,
        )  # fmt: skip
        return ContractEditPayload(
            contract=made.contract, edit=made.record, warnings=list(made.warnings)  # type: ignore[arg-type]
        )  # fmt: skip


def edit_asked(found: ContractEditInput) -> contract_edits.ContractEdit:
    """The edit that an input asks for."""
    head: dict[str, Any] = {
        name: getattr(found, name)
        for name in ("name", "net_payment_terms_days", "ending_before", "billing_configuration_id")
        if getattr(found, name) is not strawberry.UNSET
    }
    chosen = head.get("billing_configuration_id")
    if chosen is not None:
        head["billing_configuration_id"] = ids.from_text(
            "billing_configuration", chosen, path=("input", "billingConfigurationId")
        )
    return contract_edits.ContractEdit(
        terms=_terms_of(found),
        parts=parts_of(found),
        head=head,
        route=update_asked(found.add_billing_configuration_update),
        allow_ending_before_invoice=found.allow_ending_before_finalized_invoice,
        uniqueness_key=found.uniqueness_key,
    )


def _terms_of(found: ContractEditInput) -> TermsEdit:
    given = found.add or ContractTermsInput()
    add = added_terms(given, path=("input", "add"))
    coming = coming_subscriptions(given, add.fees)
    return TermsEdit(
        add=add,
        remove_overrides=[
            ids.from_text("override", text, path=("input", "removeOverrides", str(index)))
            for index, text in enumerate(found.remove_overrides)
        ],
        quantity_updates=[
            QuantityEdit(
                subscription_of(
                    item.subscription_id, coming, path=("input", "quantityUpdates", str(index), "subscriptionId")
                ),
                item.starting_at, item.quantity, item.delta, item.uniqueness_key,
            )
            for index, item in enumerate(found.quantity_updates)
        ],
    )  # fmt: skip
