"""What hierarchies of contracts add to invoices in GraphQL: who pays.

Owns those fields. Only ids are shown of a contract that belongs to another customer, and nothing to tokens of customers who do not pay.
"""

from __future__ import annotations

import strawberry

from app.core.hierarchy import Payer
from app.graphql.context import Info
from app.invoices import tables
from app.invoices.api_loaders import Either
from app.store import ids


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
