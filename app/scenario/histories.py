"""Changes of contracts in a scenario, kept in their histories, which are proved at the end.

Owns the door's part: who asked for a change, and its record in the same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.history import keep_changes
from app.contracts.past import misremembered
from app.scenario.stream import ACTOR
from app.scenario.world import World


@asynccontextmanager
async def changing(world: World, action: str, *, at: datetime) -> AsyncIterator[AsyncSession]:
    """A transaction of one step, whose changes of contracts are recorded."""
    async with world.store.transaction() as session:
        yield session
        await keep_changes(session, ACTOR, action=action, now=at)


async def histories_that_mislead(world: World) -> list[str]:
    """The contracts whose terms do not follow from their histories."""
    async with world.store.transaction() as session:
        _, wrong = await misremembered(session)
    names = {identifier.hex: name for name, identifier in world.contracts.items()}
    return [f"contract {names[found]}: its terms do not follow from its history" for found in wrong]
