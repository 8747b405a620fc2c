"""The custom fields of an invoice's customer and contract, as they are frozen beside the terms; they decide nothing.

Owns the JSON form. It may grow and never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.custom_fields.service import custom_fields_of
from app.invoices.drafts import RatedStatement
from app.invoices.tables import InvoiceInputs

FIELDS = "custom_fields"
"""Under this name among the terms; terms that were frozen by an earlier release lack it."""
Fields = Mapping[str, Mapping[str, str]]
"""Of the `customer` and of the `contract`: values by key."""


async def fields_of_statements(session: AsyncSession, rated: Sequence[RatedStatement]) -> list[Fields]:
    """What they are now, in the order of the statements."""
    found = await custom_fields_of(session, {key for item in rated for key in (item.customer_id, item.contract_id)})
    return [{"customer": found[item.customer_id], "contract": found[item.contract_id]} for item in rated]


async def frozen_fields(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, Fields]:
    """What they were when final invoices became final; empty where that was not kept yet."""
    rows = await session.execute(
        select(InvoiceInputs.invoice_id, col(InvoiceInputs.terms)[FIELDS]).where(
            col(InvoiceInputs.invoice_id).in_(invoice_ids)
        )
    )
    found: dict[UUID, Any] = {row[0]: row[1] for row in rows}
    return {identifier: found.get(identifier) or {} for identifier in invoice_ids}
