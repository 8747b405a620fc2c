"""Whose turn it is at a provider: documents of one customer there are sent one after the other.

Owns the name of that turn. Two of our billing configurations may lead to the same customer of the provider, and a provider
refuses two calls at one object at the same time; so the turn is the provider's customer, not our configuration.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.tables import BillingConfiguration
from app.delivery.registry import Connections


async def turn_of(session: AsyncSession, connections: Connections, configuration_id: UUID) -> str:
    """The name to hold while a document of this configuration is sent, read back or taken back."""
    configuration = await session.get_one(BillingConfiguration, configuration_id)
    connection = connections.find(configuration.connection)
    names = () if connection is None else connection.capabilities.customer_named_by
    values = [configuration.settings.get(name) for name in names]
    if not values or None in values:
        return f"deliver:{configuration_id}"
    return f"deliver:{configuration.connection}:{':'.join(map(str, values))}"
