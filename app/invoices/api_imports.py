"""Historical import in GraphQL.

Owns the mutation; the rules are in `importing.py`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.change import note_change
from app.graphql.context import Info
from app.graphql.fields import mutation_field, permit
from app.graphql.payload import Payload
from app.graphql.session import alone
from app.invoices.api_import_inputs import HistoricalInvoicesInput, invoices_asked
from app.invoices.api_previews import PreviewInvoice
from app.invoices.api_types import Invoice
from app.invoices.detaching import detached
from app.invoices.importing import import_invoices
from app.store import ids
from app.store.rehearsal import rehearse


@strawberry.type(description="Answer to a historical import.")
class HistoricalInvoicesPayload(Payload):
    invoices: list[Invoice] = strawberry.field(
        default_factory=list, description="Those that were made; none by a preview."
    )
    previews: list[PreviewInvoice] = strawberry.field(
        default_factory=list, description="What they would say; of a preview."
    )


@strawberry.type
class ImportsMutation:
    @mutation_field(
        scope="invoices:finalize",
        action="invoice.import",
        description="Make final invoices of past statements from given quantities at the contract's prices, with the fees and "
        "charges that fall on them. They draw on balances, have numbers and go to no provider; the periods are not billed "
        "again. Asks for admin as well.",
    )
    async def historical_invoices_create(
        self, info: Info, input: Annotated[HistoricalInvoicesInput, strawberry.argument(description="What to import.")]
    ) -> HistoricalInvoicesPayload:
        context = info.context
        permit(context.actor, "admin")
        wanted = invoices_asked(input)
        if input.preview:
            async with alone(context.session), rehearse(context.session) as session:
                found = await import_invoices(session, wanted, now=context.now)
                kept = [detached(item.rated) for item in found]
            return HistoricalInvoicesPayload(previews=[PreviewInvoice(rated=item) for item in kept])
        found = await import_invoices(context.session, wanted, now=context.now)
        made = [item.invoice for item in found]
        note_change(
            context.session,
            "invoice",
            made[-1].id,
            after={"imported": [ids.to_text("invoice", row.id) for row in made]},
        )
        return HistoricalInvoicesPayload(invoices=made)  # type: ignore[arg-type]
