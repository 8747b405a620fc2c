"""Custom fields of an invoice's customer and contract in GraphQL: as frozen with a final invoice, or as they are now.

Owns the two fields of the GraphQL type.
"""

from __future__ import annotations

import strawberry

from app.graphql.context import Info
from app.graphql.values import KeyValue, key_values
from app.invoices import tables
from app.invoices.api_loaders import Either


async def customer_custom_fields(info: Info, invoice: strawberry.Parent[Either]) -> list[KeyValue]:
    """Those of its customer."""
    return await _of(info, invoice, "customer")


async def contract_custom_fields(info: Info, invoice: strawberry.Parent[Either]) -> list[KeyValue]:
    """Those of its contract."""
    return await _of(info, invoice, "contract")


async def _of(info: Info, invoice: Either, whose: str) -> list[KeyValue]:
    # They are the seller's notes, such as account numbers; a customer's own token does not see them.
    if info.context.actor.customer_id is not None:
        return []
    if isinstance(invoice, tables.Invoice):
        return key_values((await info.context.load("invoice.frozen_fields", invoice.id)).get(whose, {}))
    owner = invoice.customer_id if whose == "customer" else invoice.contract_id
    return key_values(await info.context.load("custom_fields", owner))
