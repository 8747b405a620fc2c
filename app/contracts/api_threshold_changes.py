"""Changes of a contract's thresholds in GraphQL.

Owns the two mutations; the rules are in `thresholds.py`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.contracts import thresholds
from app.contracts.api import ID, ContractPayload
from app.contracts.api_threshold_inputs import ThresholdInput, ThresholdKind, threshold_of
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.store import ids

Revision = Annotated[int | None, strawberry.argument(description="Revision that was read; another one is refused.")]


@strawberry.type
class ThresholdsMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.set_threshold",
        description="Let a contract buy a prepaid commit when its spend or its balance reaches a threshold, in place of "
        "what it watched of that kind. It is looked at soon after.",
    )
    async def contract_set_threshold(
        self,
        info: Info,
        id: ID,
        input: Annotated[ThresholdInput, strawberry.argument(description="What it watches from now on.")],
        revision: Revision = None,
    ) -> ContractPayload:
        context = info.context
        contract = await thresholds.set_threshold(
            context.session, context.providers, ids.from_text("contract", id, path=("id",)),
            threshold_of(input, path=("input",)), revision=revision, now=context.now,
        )  # fmt: skip
        return ContractPayload(contract=contract)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="contract.remove_threshold",
        description="Let a contract watch a threshold no more. What it bought stays.",
    )
    async def contract_remove_threshold(
        self,
        info: Info,
        id: ID,
        kind: Annotated[ThresholdKind, strawberry.argument(description="Which one.")],  # type: ignore[valid-type]
        revision: Revision = None,
    ) -> ContractPayload:
        context = info.context
        contract = await thresholds.remove_threshold(
            context.session, ids.from_text("contract", id, path=("id",)), kind, revision=revision, now=context.now
        )
        return ContractPayload(contract=contract)  # type: ignore[arg-type]
