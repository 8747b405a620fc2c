"""The line of another invoice that a line of a consolidated one repeats, in GraphQL.

Owns the type and its loader. Ids are shown of customers and contracts, so that who pays sees what for.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import strawberry

from app.contracts.tables import Contract
from app.core.lines import LineOrigin
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.invoices import finding, origins
from app.store import ids


@strawberry.type(description="A line of the statement of one contract.")
class InvoiceLineOrigin:
    customer_id: strawberry.ID = strawberry.field(description="Whose statement it is.")
    contract_id: strawberry.ID = strawberry.field(description="The contract that it bills.")
    invoice_id: strawberry.ID = strawberry.field(description="The statement, final or a draft.")
    position: int = strawberry.field(description="Place of the line on it, from 0.")


async def _origins(context: Context, keys: Sequence[UUID]) -> Sequence[origins.Origin]:
    found = await origins.origins_of(context.session, keys)
    missing = set(keys) - set(found)
    if missing:
        drafts = await finding.find_drafts(context.session, missing, now=context.now)
        contracts: dict[UUID, Contract] = {key: statement.contract for key, statement in drafts.items()}
        found |= await origins.origins_of(
            context.session, (), {key: contract.id for key, contract in contracts.items()}
        )
    return [found[key] for key in keys]


async def origin_shown(info: Info, found: LineOrigin | None) -> InvoiceLineOrigin | None:
    """Where a line comes from."""
    if found is None:
        return None
    origin: origins.Origin = await info.context.load("invoice.line_origin", found.invoice_id)
    return InvoiceLineOrigin(
        customer_id=strawberry.ID(ids.to_text("customer", origin.customer_id)),
        contract_id=strawberry.ID(ids.to_text("contract", origin.contract_id)),
        invoice_id=strawberry.ID(ids.to_text("invoice", origin.invoice_id)),
        position=found.position,
    )


LOADERS["invoice.line_origin"] = _origins
