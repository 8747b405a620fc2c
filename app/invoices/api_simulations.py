"""Previews of invoices in GraphQL: what a new contract, an edit, other prices or other usage would make of them.

Owns the types and the field; nothing of a preview is stored. What is compared with what is decided in `simulating.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from app.errors import NotFound
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import permit, query_field
from app.graphql.session import alone
from app.graphql.values import Interval, Money
from app.invoices import simulating
from app.invoices.api_differences import InvoiceLineDifference, differences_shown
from app.invoices.api_lines import InvoiceLine, Origin, UnratedUsage, line_shown
from app.invoices.api_loaders import unrated_of
from app.invoices.api_simulation_changes import change_of, span_of
from app.invoices.api_simulation_inputs import InvoicePreviewInput
from app.usage.api_preview_inputs import simulated_usage

if TYPE_CHECKING:
    from app.invoices.api_types import Invoice


@strawberry.type(description="One invoice as it would be, beside what it is today.")
class SimulatedInvoice:
    interval: Interval = strawberry.field(description="Its service period; a date without end for a scheduled invoice.")
    total_before: Money = strawberry.field(description="Its total today; 0 where there is none.")
    total_after: Money = strawberry.field(
        description="What it would be; exact for drafts, rounded where it is final today, 0 where there would be none."
    )
    difference: Money = strawberry.field(description="How much more it would be.")
    found: strawberry.Private[simulating.Simulated]
    origin: strawberry.Private[Origin | None]

    @strawberry.field(description="The final invoice or draft of today; null where there is none.")
    async def today(self, info: Info) -> Annotated[Invoice, strawberry.lazy("app.invoices.api_types")] | None:
        identifier = self.found.today_id
        return None if identifier is None else await info.context.load("invoice", identifier)

    @strawberry.field(description="The lines it would have, in the order of the rate card.")
    def lines(self, first: First = 100, after: After = None) -> Connection[InvoiceLine]:
        shown = []
        if self.origin is not None:
            shown = [line_shown(place, line, self.origin) for place, line in enumerate(self.found.lines_after)]
        return list_connection(shown, key=lambda line: str(line.position), first=first, after=after)

    @strawberry.field(
        description="What differs, line by line, at most 1,000; quantities and amounts summed over intervals."
    )
    def differences(self) -> list[InvoiceLineDifference]:
        return [] if self.origin is None else differences_shown(self.found.differences, self.origin)

    @strawberry.field(description="Usage that no rate would price, at most 100 entries.")
    async def unrated_usage(self, info: Info) -> list[UnratedUsage]:
        return [] if self.found.after is None else await unrated_of(info, self.found.after)


@strawberry.type(description="What invoices would say; nothing of it is stored.")
class InvoicePreview:
    invoices: list[SimulatedInvoice] = strawberry.field(
        description="Those of the interval, at most 36, in the order in which they are issued."
    )


@strawberry.type
class SimulationsQuery:
    @query_field(
        scope="invoices:read",
        description="What invoices of a contract would say, past ones too, with a change that nobody has made: a new "
        "contract, an edit, other prices or other usage; and what would differ from today, line by line. The change is "
        "checked as if it were made. Nothing is stored. Asks for contracts:read as well.",
    )
    async def invoice_preview(
        self, info: Info, input: Annotated[InvoicePreviewInput, strawberry.argument(description="What to preview.")]
    ) -> InvoicePreview:
        context = info.context
        permit(context.actor, "contracts:read")
        interval = span_of(input, context)
        change, contract_id = change_of(input.change, context)
        assert interval.ending_before is not None
        until = max(context.now, interval.ending_before)
        given = None if input.usage is None else simulated_usage(input.usage, now=until)
        if contract_id is not None and await context.load("contract", contract_id) is None:
            raise NotFound("Contract", contract_id, path=("input", "change"))
        async with alone(context.session):
            found = await simulating.simulate(
                context.session, change, contract_id=contract_id, interval=interval, now=context.now,
                hours=None if given is None else given.hours_of_metrics,
            )  # fmt: skip
        return InvoicePreview(invoices=[_shown(item, is_stored=given is None) for item in found])


def _shown(item: simulating.Simulated, *, is_stored: bool) -> SimulatedInvoice:
    return SimulatedInvoice(
        interval=Interval(starting_at=item.period.starting_at, ending_before=item.period.ending_before),
        total_before=Money.of(item.total_before, item.currency),
        total_after=Money.of(item.total_after, item.currency),
        difference=Money.of(item.difference, item.currency),
        found=item,
        origin=None if item.after is None else Origin.of(item.after, is_stored=is_stored),
    )
