"""Contracts in GraphQL: what can be read and done.

Owns the fields; how a contract looks is in `api_types.py`, what callers send in `api_inputs.py`, the rules in the
service.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.contracts import api_creating as creating
from app.contracts import service, tables
from app.contracts.api_inputs import ContractCreateInput, ContractFilter
from app.contracts.api_listing import COLUMNS, filtered
from app.contracts.api_types import Contract
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the contract.")]


@strawberry.type(description="Answer to a mutation of a contract.")
class ContractPayload(Payload):
    contract: Contract | None = strawberry.field(default=None, description="The contract; null after an error.")
    warnings: list[str] = strawberry.field(
        default_factory=list, description="What is allowed and is still worth a look, such as usage billed twice."
    )


@strawberry.type
class ContractsQuery:
    @query_field(scope="contracts:read", description="One contract; null when there is none.", for_customers=True)
    async def contract(self, info: Info, id: ID) -> Contract | None:
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.Contract) else None  # type: ignore[return-value]

    @query_field(scope="contracts:read", description="Contracts, newest first.", for_customers=True)
    async def contracts(
        self,
        info: Info,
        filter: Annotated[ContractFilter | None, strawberry.argument(description="Which contracts.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Contract]:
        statement = await filtered(info, filter or ContractFilter())
        own = info.context.actor.customer_id
        if own is not None:
            statement = statement.where(COLUMNS.customer_id == own)
        return await connection(info, statement, sort=[COLUMNS.id], descending=True, first=first, after=after)


@strawberry.type
class ContractsMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.create",
        description="Make a contract, of terms or of a package. A customer can have any number at once; each has its own "
        "invoices.",
    )
    async def contract_create(
        self, info: Info, input: Annotated[ContractCreateInput, strawberry.argument(description="The new contract.")]
    ) -> ContractPayload:
        made = await creating.create_asked(info.context.session, info.context.providers, input, now=info.context.now)
        return ContractPayload(contract=made.contract, warnings=list(made.warnings))  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="contract.set_billing_configuration",
        description="Choose where a contract's coming invoices go; finalized ones go where they were meant to. To change it "
        "from a statement period on, as one does to or from a marketplace, edit the contract with addBillingConfigurationUpdate.",
    )
    async def contract_set_billing_configuration(
        self,
        info: Info,
        id: ID,
        billing_configuration_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The choice; null leaves it to the customer's default."),
        ] = None,
        revision: Annotated[
            int | None, strawberry.argument(description="Revision that was read; another one is refused.")
        ] = None,
    ) -> ContractPayload:
        row = await service.set_billing_configuration(
            info.context.session,
            info.context.providers,
            ids.from_text("contract", id, path=("id",)),
            creating.optional("billing_configuration", billing_configuration_id, path=("billingConfigurationId",)),
            revision=revision,
            now=info.context.now,
        )
        return ContractPayload(contract=row)  # type: ignore[arg-type]
