"""The custom fields of an invoice's customer and contract, and of what its lines name, as they are frozen beside the terms;
they decide nothing.

Owns the JSON form. It may grow and never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.lines import Line
from app.custom_fields.service import custom_fields_of
from app.invoices.drafts import RatedStatement
from app.invoices.tables import InvoiceInputs

FIELDS = "custom_fields"
"""Under this name among the terms; terms that were frozen by an earlier release lack it."""
Fields = Mapping[str, Mapping[str, str]]
"""Of the `customer`, of the `contract`, and of commits, credits, subscriptions and scheduled charges that lines name, each by
its id: values by key."""


async def fields_of_statements(session: AsyncSession, rated: Sequence[RatedStatement]) -> list[Fields]:
    """What they are now, in the order of the statements."""
    named = [{key for line in item.draft.lines for key in named_by(line)} for item in rated]
    owners = {key for item in rated for key in (item.customer_id, item.contract_id)}
    found = await custom_fields_of(session, owners.union(*named))
    return [
        {"customer": found[item.customer_id], "contract": found[item.contract_id]}
        | {str(key): found[key] for key in sorted(keys) if found[key]}
        for item, keys in zip(rated, named, strict=True)
    ]


def named_by(line: Line) -> list[UUID]:
    """The commit or credit, subscription and scheduled charge that a line names."""
    return [key for key in (line.grant_id, line.subscription_id, line.charge_id) if key is not None]


async def frozen_fields(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, Fields]:
    """What they were when final invoices became final; empty where that was not kept yet."""
    rows = await session.execute(
        select(InvoiceInputs.invoice_id, col(InvoiceInputs.terms)[FIELDS]).where(
            col(InvoiceInputs.invoice_id).in_(invoice_ids)
        )
    )
    found: dict[UUID, Any] = {row[0]: row[1] for row in rows}
    return {identifier: found.get(identifier) or {} for identifier in invoice_ids}
