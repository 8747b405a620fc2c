"""The end of a contract in GraphQL: moved, or for good.

Owns the two mutations; they stand here because final invoices have a say in both. The rules are in `ending.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.contracts.api import ID, ContractPayload
from app.graphql.context import Info
from app.graphql.errors import forbidden
from app.graphql.fields import mutation_field
from app.invoices import ending
from app.store import ids


@strawberry.type
class EndingMutation:
    @mutation_field(
        scope="contracts:write",
        action="contract.update_end_date",
        description="Move the end of a contract. An earlier one cuts its terms, shortens drafts and drops later charges; "
        "a later one lengthens the contract only. Final invoices stay as they are.",
    )
    async def contract_update_end_date(
        self,
        info: Info,
        id: ID,
        ending_before: Annotated[
            datetime | None, strawberry.argument(description="The new end, a full hour; null: open-ended.")
        ] = None,
        allow_ending_before_finalized_invoice: Annotated[
            bool,
            strawberry.argument(description="False refuses an end before that of a usage invoice that is final."),
        ] = True,
    ) -> ContractPayload:
        row, warnings = await ending.update_end_date(
            info.context.session,
            ids.from_text("contract", id, path=("id",)),
            ending_before,
            allow_ending_before_invoice=allow_ending_before_finalized_invoice,
        )
        return ContractPayload(contract=row, warnings=warnings)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="contract.archive",
        description="End a contract for good, with its commits and credits: its drafts disappear. Voiding its invoices "
        "asks for the scope invoices:void as well.",
    )
    async def contract_archive(
        self,
        info: Info,
        id: ID,
        void_invoices: Annotated[
            bool, strawberry.argument(description="Whether its final invoices are voided; else they stay.")
        ],
    ) -> ContractPayload:
        if void_invoices and not info.context.actor.may("invoices:void"):
            raise forbidden("invoices:void")
        contract_id = ids.from_text("contract", id, path=("id",))
        row = await ending.archive(info.context.session, contract_id, void_invoices=void_invoices, now=info.context.now)
        return ContractPayload(contract=row)  # type: ignore[arg-type]
