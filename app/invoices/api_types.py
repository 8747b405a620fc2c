"""How invoices are shown, final ones and drafts alike; their lines are in `api_lines.py`.

Owns their GraphQL type and loaders. A final invoice is a row; a draft is rated when it is asked for, and has the id
that the final one will have. Deliveries are named lazily; their own slice loads them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.contracts.api_types import Contract
from app.custom_fields.api_types import HasCustomFields
from app.customers.api_types import BillingConfiguration, Customer
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.nodes import Node, node_id, node_type
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Interval, Money
from app.invoices import api_breakdown_pages, api_frozen_fields, api_hierarchies, api_standing, drafts, tables
from app.invoices.api_lines import InvoiceLine, UnratedUsage
from app.invoices.api_loaders import (
    Either,
    InvoiceType,
    lines_of,
    load_invoices,
    number_of,
    type_of,
    unrated_of,
)

if TYPE_CHECKING:
    from app.delivery.api_external import ExternalInvoice
    from app.delivery.api_types import Delivery


@node_type(
    "invoice",
    of=(tables.Invoice, drafts.RatedStatement),
    scope="invoices:read",
    description="What a customer owes for one period of a contract. A draft keeps its id, and its custom fields, when it "
    "becomes final. Those can change after that, since they are no part of its content; an invoice that is made again has "
    "none of the void one's.",
    load=load_invoices,
)
class Invoice(Node, HasCustomFields):
    @strawberry.field(description="Its number, without gaps; null for a draft.")
    def number(self, invoice: strawberry.Parent[Either]) -> str | None:
        return number_of(invoice)

    status = strawberry.field(resolver=api_standing.status, description="Where it stands.")
    voided_at = strawberry.field(
        resolver=api_standing.voided_at, description="When it was voided; null while it counts, and for a draft."
    )
    void_reason = strawberry.field(
        resolver=api_standing.void_reason, description="Why it was voided; null for tokens of one customer."
    )
    regenerated_from = strawberry.field(
        resolver=api_standing.regenerated_from, description="The void invoice in whose place it stands."
    )
    regenerated_to = strawberry.field(
        resolver=api_standing.regenerated_to, description="The invoice that was made in its place after it was voided."
    )
    late_usage = strawberry.field(
        resolver=api_standing.late_usage,
        description="Usage of its period that came, or was taken back, after it was final, at most 100 entries. It is on "
        "no invoice until this one is voided and made again.",
    )

    customer_custom_fields = strawberry.field(
        resolver=api_frozen_fields.customer_custom_fields,
        description="Custom fields of its customer, by key: as they were when it became final, of a draft as they are. None "
        "for tokens of one customer.",
    )
    contract_custom_fields = strawberry.field(
        resolver=api_frozen_fields.contract_custom_fields,
        description="Custom fields of its contract, by key: as they were when it became final, of a draft as they are. None "
        "for tokens of one customer.",
    )

    @strawberry.field(description="What it is for.")
    def type(self, invoice: strawberry.Parent[Either]) -> InvoiceType:  # type: ignore[valid-type]
        return type_of(invoice)

    @object_field(scope="customers:read", description="Who owes it. Scope: customers:read.")
    async def customer(self, info: Info, invoice: strawberry.Parent[Either]) -> Customer:
        return await info.context.load("customer", invoice.customer_id)

    @object_field(scope="contracts:read", description="The contract it bills. Scope: contracts:read.")
    async def contract(self, info: Info, invoice: strawberry.Parent[Either]) -> Contract:
        return await info.context.load("contract", invoice.contract_id)

    @object_field(
        scope="customers:read",
        description="Where a final invoice goes; null when it goes nowhere, and for a draft. Scope: customers:read.",
    )
    async def billing_configuration(
        self, info: Info, invoice: strawberry.Parent[Either]
    ) -> BillingConfiguration | None:
        if not isinstance(invoice, tables.Invoice) or invoice.billing_configuration_id is None:
            return None
        return await info.context.load("billing_configuration", invoice.billing_configuration_id)

    payer = strawberry.field(
        resolver=api_hierarchies.payer,
        description="Who pays it: its contract or, of a child, the parent that was to pay when it became final; null for "
        "tokens of another customer than the one who pays.",
    )

    constituent_invoices = strawberry.field(
        resolver=api_hierarchies.constituents,
        description="Of a consolidated invoice: the statements whose lines it repeats, the parent's own first, at most those "
        "that the caller may see.",
    )
    consolidated_into = strawberry.field(
        resolver=api_hierarchies.consolidated_into,
        description="The consolidated invoice with which a final statement went out; it is sent to no provider itself.",
    )

    @strawberry.field(description="The usage that it bills; null for a scheduled invoice, which has a date.")
    def service_period(self, invoice: strawberry.Parent[Either]) -> Interval | None:
        period = invoice if isinstance(invoice, tables.Invoice) else invoice.statement.period
        if period.ending_before is None:
            return None
        return Interval(starting_at=period.starting_at, ending_before=period.ending_before)

    @strawberry.field(description="The date of a scheduled invoice; null for a usage statement.")
    def date(self, invoice: strawberry.Parent[Either]) -> datetime | None:
        period = invoice if isinstance(invoice, tables.Invoice) else invoice.statement.period
        return period.starting_at if period.ending_before is None else None

    @strawberry.field(
        description="When it becomes, or could become, final: its period's end and the grace after it, or its date."
    )
    def due_at(self, invoice: strawberry.Parent[Either]) -> datetime:
        return invoice.due_at if isinstance(invoice, tables.Invoice) else invoice.statement.due_at

    @strawberry.field(description="When it became final.")
    def issued_at(self, invoice: strawberry.Parent[Either]) -> datetime | None:
        return invoice.issued_at if isinstance(invoice, tables.Invoice) else None

    @strawberry.field(description="When it is to be paid; null for a draft, and where the provider decides.")
    def payment_due_at(self, invoice: strawberry.Parent[Either]) -> datetime | None:
        return invoice.payment_due_at if isinstance(invoice, tables.Invoice) else None

    @strawberry.field(description="Its currency.")
    def currency(self, invoice: strawberry.Parent[Either]) -> CurrencyCode:
        return CurrencyCode(_money(invoice).currency)

    @strawberry.field(description="Exact sum of its lines, before the rounding.")
    def subtotal(self, invoice: strawberry.Parent[Either]) -> Money:
        return _money(invoice)

    @strawberry.field(description="What is owed: rounded half up when final, the exact subtotal of a draft.")
    def total(self, invoice: strawberry.Parent[Either]) -> Money:
        return Money.of(invoice.total, invoice.currency) if isinstance(invoice, tables.Invoice) else _money(invoice)

    @strawberry.field(description="Its lines, in the order of the rate card.")
    async def lines(
        self, info: Info, invoice: strawberry.Parent[Either], first: First = 100, after: After = None
    ) -> Connection[InvoiceLine]:
        return list_connection(
            await lines_of(info, invoice), key=lambda line: str(line.position), first=first, after=after
        )

    breakdowns = strawberry.field(
        resolver=api_breakdown_pages.breakdowns_of,
        description="The invoice by hour or day, in order of time. What windows bill adds up to it; what usage that came "
        "after it was final would add stands apart.",
    )

    @strawberry.field(description="Usage of the period that no rate prices, at most 100 entries.")
    async def unrated_usage(self, info: Info, invoice: strawberry.Parent[Either]) -> list[UnratedUsage]:
        return await unrated_of(info, invoice)

    @strawberry.field(description="SHA-256 of its content, by which a later change would show; null for a draft.")
    def content_hash(self, invoice: strawberry.Parent[Either]) -> str | None:
        return invoice.content_hash if isinstance(invoice, tables.Invoice) else None

    @strawberry.field(description="Path of the invoice as PDF on this server; it asks for the same key (docs/http.md).")
    def pdf_url(self, invoice: strawberry.Parent[Either]) -> str:
        return f"/v1/invoices/{node_id(invoice)}.pdf"

    @strawberry.field(description="Path of the invoice as CSV on this server; it asks for the same key (docs/http.md).")
    def csv_url(self, invoice: strawberry.Parent[Either]) -> str:
        return f"/v1/invoices/{node_id(invoice)}.csv"

    @object_field(
        scope="delivery:read", description="How it comes to its provider; empty for a draft. Scope: delivery:read."
    )
    async def deliveries(
        self, info: Info, invoice: strawberry.Parent[Either]
    ) -> list[Annotated[Delivery, strawberry.lazy("app.delivery.api_types")]]:
        return await info.context.load("invoice.deliveries", invoice.id)

    @object_field(
        scope="delivery:read",
        description="How it stands at the provider that collects it; null for a draft, and while none does. Scope: delivery:read.",
    )
    async def external_invoice(
        self, info: Info, invoice: strawberry.Parent[Either]
    ) -> Annotated[ExternalInvoice, strawberry.lazy("app.delivery.api_external")] | None:
        return await info.context.load("invoice.external", invoice.id)

    payment_status = strawberry.field(
        resolver=api_standing.payment_status,
        description="What became of its payment; null for a draft, and where the provider does not tell.",
    )


def _money(invoice: Either) -> Money:
    """The exact subtotal."""
    if isinstance(invoice, tables.Invoice):
        return Money.of(invoice.subtotal, invoice.currency)
    return Money.of(invoice.draft.subtotal, invoice.draft.unit.code)
