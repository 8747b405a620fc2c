"""Invoices in GraphQL: what can be read and done.

Owns the fields; how an invoice looks is in `api_types.py`, what callers send in `api_inputs.py`, the rules are in the
service and the run.
"""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy import select

from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection, page_size
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.invoices import drafts, service, tables
from app.invoices.api_drafts import rated_drafts
from app.invoices.api_filtering import filtered
from app.invoices.api_inputs import COLUMNS, Carrying, Filter, Order, number_of, sort_of
from app.invoices.api_types import Invoice
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the invoice or draft.")]


@strawberry.type(description="Answer to a mutation of an invoice.")
class InvoicePayload(Payload):
    invoice: Invoice | None = strawberry.field(default=None, description="The invoice; null after an error.")


@strawberry.type
class InvoicesQuery:
    @query_field(
        scope="invoices:read",
        description="One invoice or draft, by id or by number; null when there is none.",
        for_customers=True,
    )
    async def invoice(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id; drafts have one too.")] = None,
        number: Annotated[str | None, strawberry.argument(description="Its number, such as INV-000042.")] = None,
    ) -> Invoice | None:
        if (id is None) is (number is None):
            raise InvalidInput(ErrorCode.INVALID, "Ask by id or by number, by one of them.", path=("id",))
        if number is not None:
            found = await info.context.session.execute(
                select(tables.Invoice.id).where(COLUMNS.number == number_of(number))  # type: ignore[call-overload]
            )
            identifier = found.scalar_one_or_none()
            if identifier is None:
                return None
            id = strawberry.ID(ids.to_text("invoice", identifier))
        assert id is not None
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.Invoice | drafts.RatedStatement) else None  # type: ignore[return-value]

    @query_field(
        scope="invoices:read", description="Final invoices, latest first unless sorted otherwise.", for_customers=True
    )
    async def invoices(
        self, info: Info, filter: Filter = None, order_by: Order = None, first: First = 25, after: After = None
    ) -> Connection[Invoice]:
        statement = await filtered(info, select(tables.Invoice), filter)
        own = info.context.actor.customer_id
        if own is not None:
            statement = statement.where(COLUMNS.customer_id == own)
        sort, descending = sort_of(order_by)
        return await connection(info, statement, sort=sort, first=first, after=after, descending=descending)

    @query_field(
        scope="invoices:read",
        description="What open statements of a customer or contract say now, earliest due first. Name one of the two.",
        for_customers=True,
    )
    async def drafts(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="Whose.")] = None,
        contract_id: Annotated[strawberry.ID | None, strawberry.argument(description="Of which contract.")] = None,
        custom_fields: Carrying = None,
        first: First = 25,
    ) -> list[Invoice]:
        if (customer_id is None) is (contract_id is None):
            raise InvalidInput(ErrorCode.INVALID, "Name a customer or a contract, one of them.", path=("customerId",))
        return await rated_drafts(  # type: ignore[return-value]
            info.context, customer_id=customer_id, contract_id=contract_id, custom_fields=custom_fields or (),
            first=page_size(first),
        )  # fmt: skip


@strawberry.type
class InvoicesMutation:
    @mutation_field(
        scope="invoices:finalize",
        action="invoice.finalize",
        description="Make a draft that is due final. One that is final already is returned as it is.",
    )
    async def invoice_finalize(self, info: Info, id: ID) -> InvoicePayload:
        identifier = ids.from_text("invoice", id, path=("id",))
        made = await service.finalize_invoice(info.context.session, identifier, now=info.context.now)
        return InvoicePayload(invoice=made.invoice)  # type: ignore[arg-type]
