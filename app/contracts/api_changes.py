"""Changes of a contract's own terms in GraphQL.

Owns the mutations that come after the create; the rules are in the modules of the terms.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.contracts.api import ID, ContractPayload
from app.contracts.api_filters import UsageFilterInput, filter_of
from app.contracts.filters import set_usage_filter
from app.contracts.overlaps import double_billing
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.store import ids


@strawberry.type
class ContractChangesMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.set_usage_filter",
        description="Choose which of the customer's usage a contract takes, from an hour on. A change in the past "
        "reaches drafts, never final invoices.",
    )
    async def contract_set_usage_filter(
        self,
        info: Info,
        id: ID,
        input: Annotated[UsageFilterInput, strawberry.argument(description="The filter from then on.")],
        revision: Annotated[
            int | None, strawberry.argument(description="Revision that was read; another one is refused.")
        ] = None,
    ) -> ContractPayload:
        context = info.context
        contract_id = ids.from_text("contract", id, path=("id",))
        row = await set_usage_filter(context.session, contract_id, filter_of(input), revision=revision, now=context.now)
        warnings = await double_billing(context.session, row)
        return ContractPayload(contract=row, warnings=warnings)  # type: ignore[arg-type]
