"""Custom fields of what the lines of an invoice name, in GraphQL: as frozen with a final invoice, or as they are now.

Owns the reading of frozen fields for GraphQL; those of the customer and the contract are in `api_frozen_fields.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import KeyValue, key_values
from app.invoices.frozen_fields import Fields, frozen_fields


async def _load(context: Context, keys: Sequence[UUID]) -> Sequence[Fields]:
    found = await frozen_fields(context.session, keys)
    return [found[key] for key in keys]


LOADERS["invoice.frozen_fields"] = _load


async def custom_fields_behind(info: Info, invoice_id: UUID | None, key: UUID | None) -> list[KeyValue]:
    """Those of a commit, credit, subscription or scheduled charge that a line names; `invoice_id` is that of a final one."""
    # They are the seller's notes, such as account numbers; a customer's own token does not see them.
    if key is None or info.context.actor.customer_id is not None:
        return []
    if invoice_id is None:
        return key_values(await info.context.load("custom_fields", key))
    return key_values((await info.context.load("invoice.frozen_fields", invoice_id)).get(str(key), {}))
