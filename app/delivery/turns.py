"""Whose turn it is at a provider: documents of one customer there are sent one after the other.

Owns the name of that turn, and of the lane in which an account takes it. Two of our billing configurations may lead to the same customer of the provider, and a provider
refuses two calls at one object at the same time; so the turn is the provider's customer, not our configuration.
"""

from __future__ import annotations

from uuid import UUID
from zlib import crc32

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


def lane_of(turn: str, connections: Connections, name: str) -> str:
    """The lane of an account in which a turn is taken; jobs of one lane run one after the other in all processes.

    So no more documents are under way there than the account takes, and an account that hangs leaves workers for others.
    """
    connection = connections.find(name)
    lanes = 1 if connection is None else connection.capabilities.concurrency
    return f"lane:{name}:{crc32(turn.encode()) % lanes}"
