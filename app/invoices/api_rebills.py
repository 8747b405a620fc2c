"""Credit and rebill in GraphQL.

Owns the mutation; the rules are in `rebilling.py`. Its preview is `invoiceRegeneratePreview`, which says the same.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import strawberry

from app.graphql.context import Info
from app.graphql.fields import mutation_field, permit
from app.graphql.values import Money
from app.invoices.api import ID, InvoicePayload
from app.invoices.api_differences import InvoiceLineDifference, differences_shown
from app.invoices.api_types import Invoice
from app.invoices.rebilling import rebill_invoice
from app.store import ids


@strawberry.type(description="Answer to credit and rebill; `invoice` is the new one.")
class InvoiceRebillPayload(InvoicePayload):
    voided: Invoice | None = strawberry.field(default=None, description="The invoice that is void now.")
    difference: Money | None = strawberry.field(default=None, description="How much more the new one comes to.")
    differences: list[InvoiceLineDifference] = strawberry.field(
        default_factory=list, description="The lines that differ, at most 1,000."
    )


@strawberry.type
class RebillsMutation:
    @mutation_field(
        scope="invoices:void",
        action="invoice.rebill",
        description="Credit and rebill: void a final invoice and make it again from the usage, prices and terms of now, both "
        "or nothing. Look at invoiceRegeneratePreview first. Asks for invoices:finalize as well.",
    )
    async def invoice_rebill(
        self,
        info: Info,
        id: ID,
        reason: Annotated[str, strawberry.argument(description="Why, in 1 to 500 characters; kept with the void.")],
        void_in_provider: Annotated[
            bool,
            strawberry.argument(description="Also take back what was delivered; a marketplace keeps what it counted."),
        ] = True,
        expected_total: Annotated[
            Decimal | None,
            strawberry.argument(description="Total that the preview showed; with another one nothing is done."),
        ] = None,
    ) -> InvoiceRebillPayload:
        permit(info.context.actor, "invoices:finalize")
        found = await rebill_invoice(
            info.context.session, ids.from_text("invoice", id, path=("id",)), reason=reason,
            in_provider=void_in_provider, expected_total=expected_total, now=info.context.now,
        )  # fmt: skip
        origin = await info.context.load("invoice.origin", found.made.id)
        return InvoiceRebillPayload(
            invoice=found.made,  # type: ignore[arg-type]
            voided=found.voided,  # type: ignore[arg-type]
            difference=Money.of(found.made.total - found.voided.total, found.made.currency),
            differences=differences_shown(found.differences, origin),
        )
