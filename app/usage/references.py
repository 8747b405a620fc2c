"""The references of a customer: every name under which its usage may arrive.

Owns their union; a reference leads to whoever holds it now, so moving an alias moves usage.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.customers.tables import IngestAlias
from app.store.ids import to_text


async def references_of(session: AsyncSession, customer_id: UUID) -> list[str]:
    """All references under which usage of a customer may arrive: its id and its aliases, its external id among them."""
    aliases = await session.execute(select(IngestAlias.alias).where(IngestAlias.customer_id == customer_id))
    return sorted({to_text("customer", customer_id), *aliases.scalars()})
