"""Changes of commits and credits in GraphQL.

Owns the mutations; they stand here because final invoices have a say in them. What callers send is in
`grants/api_edits.py`, the rules are in `balance_edits.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.grants.api import BalancePayload, balance_id
from app.grants.api_edits import BalanceUpdateInput, edit_of
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.invoices import balance_edits, balance_ends

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the balance.")]
Revision = Annotated[int | None, strawberry.argument(description="Revision that was read; another one is refused.")]


@strawberry.type
class BalanceEditsMutation:
    @mutation_field(
        scope="contracts:write",
        action="balance.update",
        description="Change a commit or credit. Drafts follow at once; final invoices stay as they are, and so does what "
        "they carry of it.",
    )
    async def balance_update(
        self,
        info: Info,
        id: ID,
        input: Annotated[BalanceUpdateInput, strawberry.argument(description="The changes.")],
        revision: Revision = None,
    ) -> BalancePayload:
        context = info.context
        row = await balance_edits.update_balance(
            context.session, context.providers, balance_id(id, path=("id",)), edit_of(input, path=("input",)), revision=revision,
            now=context.now,
        )  # fmt: skip
        return BalancePayload(balance=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="balance.archive",
        description="Let a commit or credit pay nothing any more. Invoices that were paid from it, or on which it was "
        "bought, are voided first.",
    )
    async def balance_archive(self, info: Info, id: ID, revision: Revision = None) -> BalancePayload:
        context = info.context
        row = await balance_edits.archive_balance(
            context.session, balance_id(id, path=("id",)), revision=revision, now=context.now
        )
        return BalancePayload(balance=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="balance.update_end_date",
        description="Let a prepaid commit or a credit end earlier: access, payments, or both. What would begin after that "
        "is dropped.",
    )
    async def balance_update_end_date(
        self,
        info: Info,
        id: ID,
        access_ending_before: Annotated[
            datetime | None,
            strawberry.argument(description="The new end of access, a full hour before the present one."),
        ] = None,
        invoices_ending_before: Annotated[
            datetime | None, strawberry.argument(description="Payments at this instant or later are dropped.")
        ] = None,
        revision: Revision = None,
    ) -> BalancePayload:
        context = info.context
        row = await balance_ends.end_balance(
            context.session, balance_id(id, path=("id",)), access_ending_before=access_ending_before,
            invoices_ending_before=invoices_ending_before, revision=revision, now=context.now,
        )  # fmt: skip
        return BalancePayload(balance=row)  # type: ignore[arg-type]
