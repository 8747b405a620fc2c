"""What hierarchies of contracts add to invoices in GraphQL: who pays, and which statements go out together.

Owns those fields. Only ids are shown of a contract that belongs to another customer, and nothing to tokens of customers who do not pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.core.hierarchy import Payer
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS, visible
from app.invoices import consolidated, tables
from app.invoices.api_loaders import Either
from app.store import ids

if TYPE_CHECKING:
    from app.invoices.api_types import Invoice

InvoiceRef: TypeAlias = Annotated["Invoice", strawberry.lazy("app.invoices.api_types")]


@strawberry.type(description="The contract that pays for an invoice.")
class InvoicePayer:
    customer_id: strawberry.ID = strawberry.field(description="Whose contract it is.")
    contract_id: strawberry.ID = strawberry.field(description="The contract; invoices go where it is billed.")


async def payer(info: Info, invoice: strawberry.Parent[Either]) -> InvoicePayer | None:
    """Who pays an invoice: frozen with a final one, as agreed for a draft."""
    if isinstance(invoice, tables.Invoice):
        parent_id = invoice.payer_contract_id
    else:
        contract = invoice.statement.contract
        parent_id = contract.parent_id if contract.payer == Payer.PARENT else None
    customer_id, contract_id = invoice.customer_id, invoice.contract_id
    if parent_id is not None:
        parent = await info.context.load("contract", parent_id)
        customer_id, contract_id = parent.customer_id, parent.id
    if info.context.actor.customer_id not in (None, customer_id):
        return None
    return InvoicePayer(
        customer_id=strawberry.ID(ids.to_text("customer", customer_id)),
        contract_id=strawberry.ID(ids.to_text("contract", contract_id)),
    )


async def constituents(info: Info, invoice: strawberry.Parent[Either]) -> list[InvoiceRef]:
    """The statements of which a consolidated invoice is made, in order; those that the caller may see."""
    if isinstance(invoice, tables.Invoice):
        found: list[UUID] = await info.context.load("invoice.constituents", invoice.id)
    else:
        found = [part.invoice_id for part in invoice.statement.constituents]
    return [
        item
        for item in await info.context.load_many("invoice", found)
        if item is not None and visible(info.context.actor, item)
    ]


async def consolidated_into(info: Info, invoice: strawberry.Parent[Either]) -> InvoiceRef | None:
    """The consolidated invoice that counts and with which a final statement went out, if the caller may see it."""
    if not isinstance(invoice, tables.Invoice):
        return None
    found = await info.context.load("invoice.consolidated_into", invoice.id)
    return found if found is not None and visible(info.context.actor, found) else None


async def _constituents(context: Context, keys: Sequence[UUID]) -> Sequence[list[UUID]]:
    rows = await context.session.scalars(
        select(tables.InvoiceConstituent)
        .where(col(tables.InvoiceConstituent.consolidated_id).in_(keys))
        .order_by(col(tables.InvoiceConstituent.position))
    )
    found: dict[UUID, list[UUID]] = {key: [] for key in keys}
    for row in rows:
        found[row.consolidated_id].append(row.invoice_id)
    return [found[key] for key in keys]


async def _consolidated(context: Context, keys: Sequence[UUID]) -> Sequence[tables.Invoice | None]:
    found = await consolidated.consolidated_with(context.session, keys)
    return [found.get(key) for key in keys]


LOADERS["invoice.constituents"] = _constituents
LOADERS["invoice.consolidated_into"] = _consolidated
