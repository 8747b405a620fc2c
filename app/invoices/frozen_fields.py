"""The names and custom fields of an invoice's customer and contract, and of what its lines name, as they are frozen beside the
terms; they decide nothing.

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
from app.customers.tables import Customer
from app.grants.tables import GrantRow
from app.invoices.drafts import RatedStatement
from app.invoices.tables import InvoiceInputs
from app.store.arrays import among

FIELDS = "custom_fields"
"""Under this name among the terms; terms that were frozen by an earlier release lack it."""
NAMES = "names"
"""Under this name among the fields: names of the `customer`, the `contract`, and of commits and credits by id, as far as they
have one. Fields that were frozen by an earlier release lack it."""
Fields = Mapping[str, Mapping[str, str]]
"""Of the `customer`, of the `contract`, and of commits, credits, subscriptions and scheduled charges that lines name, each by
its id: values by key."""


async def fields_of_statements(session: AsyncSession, rated: Sequence[RatedStatement]) -> list[Fields]:
    """What they are now, in the order of the statements."""
    named = [{key for line in item.draft.lines for key in named_by(line)} for item in rated]
    owners = {key for item in rated for key in (item.customer_id, item.contract_id)}
    found = await custom_fields_of(session, owners.union(*named))
    names = await _names(session, rated)
    return [
        {"customer": found[item.customer_id], "contract": found[item.contract_id], NAMES: own}
        | {str(key): found[key] for key in sorted(keys) if found[key]}
        for item, keys, own in zip(rated, named, names, strict=True)
    ]


async def _names(session: AsyncSession, rated: Sequence[RatedStatement]) -> list[dict[str, str]]:
    """What customer, contract, commits and credits are called now, in the order of the statements."""
    paying = [{line.grant_id for line in item.draft.lines if line.grant_id is not None} for item in rated]
    customers = select(Customer.id, Customer.name).where(among(col(Customer.id), {item.customer_id for item in rated}))
    found: dict[UUID, str | None] = {key: name for key, name in await session.execute(customers)}  # noqa: C416
    if any(paying):
        grants = select(GrantRow.id, GrantRow.name).where(among(col(GrantRow.id), set[UUID]().union(*paying)))
        found |= {key: name for key, name in await session.execute(grants)}  # noqa: C416
    return [
        {
            what: name
            for what, name in (
                ("customer", found[item.customer_id]),
                ("contract", item.statement.contract.name),
                *((str(key), found[key]) for key in sorted(keys)),
            )
            if name is not None
        }
        for item, keys in zip(rated, paying, strict=True)
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
