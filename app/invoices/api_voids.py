"""Void and regenerate in GraphQL, and what regenerating would change.

Owns the fields; the rules are in `voiding.py`, `regenerating.py` and `again.py`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.core import differences
from app.core.invoice import finalize
from app.errors import NotFound
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.values import Money
from app.invoices import again, books, regenerating, standing, tables, voiding
from app.invoices.api import ID, InvoicePayload
from app.invoices.api_differences import InvoiceLineDifference, differences_shown
from app.invoices.api_line_parts import Origin
from app.store import ids


@strawberry.type(description="What void and regenerate would make of an invoice; nothing of it is stored.")
class InvoiceRegeneratePreview:
    total_before: Money = strawberry.field(description="Total of the invoice.")
    total_after: Money = strawberry.field(description="Total of the invoice that would be made.")
    differences: list[InvoiceLineDifference] = strawberry.field(
        description="The lines that differ, at most 1,000; empty when both would say the same."
    )


@strawberry.type
class VoidsQuery:
    @query_field(
        scope="invoices:read",
        description="What void and regenerate would change, line by line. Open drafts give way to it; nothing is stored.",
    )
    async def invoice_regenerate_preview(self, info: Info, id: ID) -> InvoiceRegeneratePreview:
        session, now = info.context.session, info.context.now
        identifier = ids.from_text("invoice", id, path=("id",))
        invoice = await session.get(tables.Invoice, identifier)
        if invoice is None:
            raise NotFound("Invoice", id, path=("id",))
        is_void = identifier in await standing.voids_of(session, [identifier])
        made = await again.make_again(session, invoice, is_void=is_void, now=now)
        if made is None:
            raise regenerating.nothing_left(invoice)
        after = finalize(made.rated.draft)
        found = differences.line_differences(await books.lines_of(session, identifier), after.lines)
        return InvoiceRegeneratePreview(
            total_before=Money.of(invoice.total, invoice.currency),
            total_after=Money.of(after.total, after.unit.code),
            differences=differences_shown(found, Origin.of(made.rated)),
        )


@strawberry.type
class VoidsMutation:
    @mutation_field(
        scope="invoices:void",
        action="invoice.void",
        description="Void a final invoice for good. It keeps its number, counts nowhere, and gives back what it took from "
        "commits and credits; what is left of commits that it sold is canceled.",
    )
    async def invoice_void(
        self,
        info: Info,
        id: ID,
        reason: Annotated[str, strawberry.argument(description="Why, in 1 to 500 characters; kept with it.")],
        void_in_provider: Annotated[
            bool,
            strawberry.argument(
                description="Also take back what was delivered. A marketplace keeps what it counted, and is sent less "
                "afterwards."
            ),
        ] = False,
    ) -> InvoicePayload:
        identifier = ids.from_text("invoice", id, path=("id",))
        row = await voiding.void_invoice(
            info.context.session, identifier, reason=reason, in_provider=void_in_provider, now=info.context.now
        )
        return InvoicePayload(invoice=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="invoices:finalize",
        action="invoice.regenerate",
        description="Make a void invoice again, once: a new final invoice with a new id and number, from the usage, "
        "prices and terms of now. It is delivered like any other.",
    )
    async def invoice_regenerate(self, info: Info, id: ID) -> InvoicePayload:
        identifier = ids.from_text("invoice", id, path=("id",))
        row = await regenerating.regenerate_invoice(info.context.session, identifier, now=info.context.now)
        return InvoicePayload(invoice=row)  # type: ignore[arg-type]
