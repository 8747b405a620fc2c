"""The references of a customer: every name under which its usage may arrive.

Owns their union; a reference leads to whoever holds it now, so moving an alias moves usage.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.customers.tables import IngestAlias
from app.store.arrays import among
from app.store.ids import to_text


async def references_of(session: AsyncSession, customer_id: UUID) -> list[str]:
    """All references under which usage of a customer may arrive: its id and its aliases, its external id among them."""
    return (await references_of_customers(session, [customer_id]))[customer_id]


async def references_of_customers(session: AsyncSession, customer_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Those of each customer, sorted."""
    aliases = await session.execute(
        select(IngestAlias.customer_id, IngestAlias.alias).where(among(col(IngestAlias.customer_id), customer_ids))
    )
    found = {customer_id: {to_text("customer", customer_id)} for customer_id in customer_ids}
    for customer_id, alias in aliases:
        found[customer_id].add(alias)
    return {customer_id: sorted(references) for customer_id, references in found.items()}
