"""Outcomes that are taken back after they were billed, in GraphQL.

Owns the types, the list and the mutation; the rules are in `reversing.py`. The lines lead to prices, tiers and overrides by
their explanations.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.core import lines, metering, money, quantities
from app.core.reversals import touches
from app.grants.api_types import Balance
from app.graphql import connection as pages
from app.graphql import fields, nodes, payload, values
from app.graphql.context import Context, Info
from app.invoices import api_line_parts, api_seen, reversals, reversing, tables
from app.store import ids

if TYPE_CHECKING:
    from app.customers.api_types import Customer
    from app.invoices.api_lines import InvoiceLine
    from app.invoices.api_types import Invoice

MAX_SHOWN = 100
LazyInvoice = Annotated["Invoice", strawberry.lazy("app.invoices.api_types")]
LazyCustomer = Annotated["Customer", strawberry.lazy("app.customers.api_types")]
LazyLine = Annotated["InvoiceLine", strawberry.lazy("app.invoices.api_lines")]


@strawberry.type(description="What went back to one payer of a statement.")
class OutcomeReversalEntry:
    amount: values.Money = strawberry.field(description="How much, exactly.")
    segment: int = strawberry.field(description="Number of the segment of the balance to which it went.")
    row: strawberry.Private[tables.ReversalEntry]

    @fields.object_field(
        scope="contracts:read",
        description="The commit or credit that had paid; null for what the invoice had asked for. Scope: contracts:read.",
    )
    async def paid_by(self, info: Info) -> Balance | None:
        return await api_seen.seen_balance(info, self.row.paid_by_id)

    @fields.object_field(
        scope="contracts:read",
        description="Where it went: the balance that had paid, while it lasts, or what it rolled into; else a credit. Scope: contracts:read.",
    )
    async def balance(self, info: Info) -> Balance | None:
        return await api_seen.seen_balance(info, self.row.grant_id)


@strawberry.type(description="How the usage of a line is without the outcome.")
class ReversedQuantity:
    product_id: strawberry.ID = strawberry.field(description="The product.")
    quantity: Decimal = strawberry.field(description="What is added to its quantity; below zero for what is taken off.")
    pricing: list[api_line_parts.GroupValue] = strawberry.field(description="Values that decide its price, by key.")
    presentation: list[api_line_parts.GroupValue] = strawberry.field(description="Values that only split it, by key.")


@strawberry.type(description="A final statement that had billed the outcome; it does not change.")
class ReversedStatement:
    quantities: list[ReversedQuantity] = strawberry.field(description="How its usage is without the outcome.")
    entries: list[OutcomeReversalEntry] = strawberry.field(
        description="What it had asked for too much, payer by payer."
    )
    row: strawberry.Private[tables.ReversedStatement]

    @strawberry.field(description="The statement.")
    async def invoice(self, info: Info) -> LazyInvoice:
        return await info.context.load("invoice", self.row.invoice_id)

    @strawberry.field(
        description="Its lines that had priced the outcome; their explanations lead to price and override."
    )
    async def lines(self, info: Info) -> list[LazyLine]:
        change = quantities.usage_from_json(self.row.usage)
        lines = await info.context.load("invoice.lines", self.row.invoice_id)
        return [line for line in lines if touches(change, line.line)]


@nodes.node_type(
    "outcome_reversal",
    of=tables.OutcomeReversal,
    scope="invoices:read",
    description="An event that a final statement had billed, and that was taken back: what each statement would have been "
    "without it is compared with what it asked for, and the difference goes back to whoever had paid.",
)
class OutcomeReversal(nodes.Node):
    transaction_id: str = strawberry.field(description="The sender's id of the event.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    created_at: datetime = strawberry.field(description="When it was taken back.")
    amount: Decimal | None = strawberry.field(
        description="The part of its money that was taken back; null for all of it."
    )

    @strawberry.field(description="Why; null for tokens of one customer.")
    def reason(self, info: Info, row: strawberry.Parent[tables.OutcomeReversal]) -> str | None:
        return row.reason if info.context.actor.customer_id is None else None

    @fields.object_field(scope="customers:read", description="Whose it was. Scope: customers:read.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.OutcomeReversal]) -> LazyCustomer:
        return await info.context.load("customer", row.customer_id)

    @strawberry.field(description="The statements that had billed it, by their ids.")
    async def statements(self, info: Info, row: strawberry.Parent[tables.OutcomeReversal]) -> list[ReversedStatement]:
        return await info.context.load("outcome_reversal.statements", row.id)


async def _statements(context: Context, keys: Sequence[UUID]) -> Sequence[list[ReversedStatement]]:
    found = await context.session.execute(
        select(tables.ReversedStatement)
        .where(col(tables.ReversedStatement.reversal_id).in_(keys))
        .order_by(col(tables.ReversedStatement.reversal_id), col(tables.ReversedStatement.invoice_id))
    )
    rows = found.scalars().all()
    every = await reversals.entries_of(context.session, {row.invoice_id for row in rows})
    entries: dict[tuple[UUID, UUID], list[OutcomeReversalEntry]] = {}
    for entry in every:
        shown = OutcomeReversalEntry(amount=values.Money.of(entry.amount, entry.unit), segment=entry.segment, row=entry)
        entries.setdefault((entry.reversal_id, entry.invoice_id), []).append(shown)
    by_reversal: dict[UUID, list[ReversedStatement]] = {key: [] for key in keys}
    for row in rows:
        by_reversal[row.reversal_id].append(
            ReversedStatement(
                quantities=[
                    _quantity(key, hours)
                    for key, hours in quantities.usage_from_json(row.usage).items()
                    if key.measure is None
                ],
                entries=entries.get((row.reversal_id, row.invoice_id), []),
                row=row,
            )
        )
    return [by_reversal[key] for key in keys]


def _quantity(key: quantities.UsageKey, hours: Sequence[metering.HourQuantity]) -> ReversedQuantity:
    with money.exact():
        quantity = sum((item.quantity for item in hours), money.ZERO)
    return ReversedQuantity(
        product_id=strawberry.ID(ids.to_text("product", key.product_id)),
        quantity=quantity,
        pricing=api_line_parts.groups(key.pricing),
        presentation=api_line_parts.groups(key.presentation),
    )


async def _of_invoices(
    context: Context, keys: Sequence[UUID]
) -> Sequence[list[tuple[tables.OutcomeReversal, reversals.Change]]]:
    return [await reversals.changes_of(context.session, [key]) for key in keys]


async def since(info: Info, line: lines.Line, origin: object) -> list[OutcomeReversal]:
    """The reversals of what a line bills, in their order; `origin` is the id of a final invoice or something else."""
    if not isinstance(origin, UUID):
        return []
    found: Any = await info.context.load("invoice.reversals", origin)
    return [reversal for reversal, change in found if touches(change, line)]


nodes.LOADERS["outcome_reversal.statements"] = _statements
nodes.LOADERS["invoice.reversals"] = _of_invoices


@strawberry.input(description="Which reversals to list; conditions add up.")
class OutcomeReversalFilter:
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this customer.")
    invoice_id: strawberry.ID | None = strawberry.field(default=None, description="Those of what this invoice billed.")
    transaction_id: str | None = strawberry.field(default=None, description="That of the event with this id.")


@strawberry.input(description="A billed event to be taken back.")
class OutcomeReversalInput:
    transaction_id: str = strawberry.field(description="The sender's id of the event. It is reversed once at most.")
    reason: str = strawberry.field(description="Why, in 1 to 500 characters; it stays with the reversal.")
    amount: Decimal | None = strawberry.field(
        default=None,
        description="A part of the money that the event says, such as a refund of less than the order; default: all of it.",
    )


@strawberry.type(description="Answer to a reversal.")
class OutcomeReversalPayload(payload.Payload):
    outcome_reversal: OutcomeReversal | None = strawberry.field(
        default=None, description="The reversal; the one that there is already, when the event was reversed before."
    )


@strawberry.type
class ReversalsQuery:
    @fields.query_field(
        scope="invoices:read", description="Outcomes that were taken back, latest first.", for_customers=True
    )
    async def outcome_reversals(
        self,
        info: Info,
        filter: Annotated[OutcomeReversalFilter | None, strawberry.argument(description="Which reversals.")] = None,
        first: pages.First = 25,
        after: pages.After = None,
    ) -> pages.Connection[OutcomeReversal]:
        row = tables.OutcomeReversal
        statement = select(row)
        own = info.context.actor.customer_id
        if own is not None:
            statement = statement.where(row.customer_id == own)
        if filter is not None and filter.customer_id is not None:
            wanted = ids.from_text("customer", filter.customer_id, path=("filter", "customerId"))
            statement = statement.where(row.customer_id == wanted)
        if filter is not None and filter.transaction_id is not None:
            statement = statement.where(row.transaction_id == filter.transaction_id)
        if filter is not None and filter.invoice_id is not None:
            billed = ids.from_text("invoice", filter.invoice_id, path=("filter", "invoiceId"))
            of_invoice = select(tables.ReversedStatement.reversal_id).where(
                tables.ReversedStatement.invoice_id == billed
            )
            statement = statement.where(col(row.id).in_(of_invoice))
        return await pages.connection(info, statement, sort=[col(row.id)], first=first, after=after, descending=True)


@strawberry.type
class ReversalsMutation:
    @fields.mutation_field(
        scope="invoices:void",
        action="outcome.reverse",
        description="Take back an event that a final statement billed: what was paid too much for it goes back to the commit "
        "that had paid, while it lasts, else it is credited on the next invoice. Safe to repeat. While the statement is a "
        "draft, use usageVoid.",
    )
    async def outcome_reversal(
        self, info: Info, input: Annotated[OutcomeReversalInput, strawberry.argument(description="What, and why.")]
    ) -> OutcomeReversalPayload:
        made: Any = await reversing.reverse_outcome(
            info.context.session, input.transaction_id, reason=input.reason, amount=input.amount, now=info.context.now
        )
        return OutcomeReversalPayload(outcome_reversal=made)
