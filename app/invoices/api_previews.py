"""Previews in GraphQL: invoices as some events would make them.

Owns the type and the field; nothing is stored, and a preview has no id, because the draft of the same statement has one.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.contracts.api_types import Contract
from app.errors import NotFound
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field, query_field
from app.graphql.nodes import visible
from app.graphql.values import Interval, Money
from app.invoices.api_lines import InvoiceLine, Origin, UnratedUsage, line_shown
from app.invoices.api_loaders import unrated_of
from app.invoices.drafts import RatedStatement
from app.invoices.previews import preview_events
from app.store import ids
from app.usage.api_preview_inputs import UsagePreviewInput, given_usage


@strawberry.type(description="What a draft would say; nothing of it is stored.")
class PreviewInvoice:
    rated: strawberry.Private[RatedStatement]

    @object_field(scope="contracts:read", description="The contract it would bill. Scope: contracts:read.")
    async def contract(self, info: Info) -> Contract:
        return await info.context.load("contract", self.rated.contract_id)

    @strawberry.field(description="The usage that it would bill.")
    def service_period(self) -> Interval:
        period = self.rated.statement.period
        return Interval(starting_at=period.starting_at, ending_before=period.ending_before)

    @strawberry.field(description="Exact sum of its lines.")
    def subtotal(self) -> Money:
        return Money.of(self.rated.draft.subtotal, self.rated.draft.unit.code)

    @strawberry.field(description="Its lines, in the order of the rate card.")
    async def lines(self, first: First = 100, after: After = None) -> Connection[InvoiceLine]:
        origin = Origin.of(self.rated, is_stored=False)
        shown = [line_shown(place, line, origin) for place, line in enumerate(self.rated.draft.lines)]
        return list_connection(shown, key=lambda line: str(line.position), first=first, after=after)

    @strawberry.field(description="Usage that no rate prices, at most 100 entries.")
    async def unrated_usage(self, info: Info) -> list[UnratedUsage]:
        return await unrated_of(info, self.rated)


@strawberry.type(description="What drafts would say.")
class UsagePreview:
    invoices: list[PreviewInvoice] = strawberry.field(
        description="The current statement of each contract in force, by contract id."
    )


@strawberry.type
class PreviewsQuery:
    @query_field(
        scope="invoices:read",
        description="What the customer's current statements would say with some events. Nothing is stored.",
        for_customers=True,
    )
    async def usage_preview(
        self, info: Info, input: Annotated[UsagePreviewInput, strawberry.argument(description="What to preview.")]
    ) -> UsagePreview:
        context = info.context
        path = ("input", "customerId")
        customer_id = ids.from_text("customer", input.customer_id, path=path)
        row = await context.load("customer", customer_id)
        if row is None or not visible(context.actor, row):
            raise NotFound("Customer", input.customer_id, path=path)
        given = given_usage(input, now=context.now)
        found = await preview_events(context.session, customer_id, given, now=context.now)
        return UsagePreview(invoices=[PreviewInvoice(rated=item) for item in found])
