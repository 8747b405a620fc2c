"""The children of a scenario's recurring commits and credits.

Owns their names. Before a step the children of periods that have begun exist, as the format's clock says.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from app.contracts.recurring_children import make_children
from app.contracts.tables import Contract
from app.grants.tables import GrantRow
from app.scenario.world import World


async def keep_children(world: World, *, at: datetime) -> None:
    """Make the children that began by an instant, and remember them as `<id>#1`, `<id>#2`, and so on."""
    if not world.recurring:
        return
    names = {identifier: name for name, identifier in world.recurring.items()}
    async with world.store.transaction() as session:
        contracts = await session.execute(select(Contract).where(col(Contract.id).in_(world.contracts.values())))
        await make_children(session, contracts.scalars().all(), now=at)
        rows = await session.execute(select(GrantRow).where(col(GrantRow.recurring_id).in_(names)))
        for row in rows.scalars():
            assert row.recurring_id is not None
            world.grants[f"{names[row.recurring_id]}#{row.recurring_number}"] = row.id
