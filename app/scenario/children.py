"""What comes by itself in a scenario: the children of recurring commits and credits, and what rolls over.

Owns their names. Before a step the children of periods that have begun exist, as the format's clock says, and the balances
of renewals that have taken effect.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from app.contracts.recurring_children import make_children
from app.contracts.tables import Contract
from app.grants.rollovers import make_rollovers
from app.grants.tables import GrantRow
from app.scenario.world import World


async def keep_children(world: World, *, at: datetime) -> None:
    """Make what began by an instant, and remember it: `<id>#1`, `<id>#2`, and so on; `<id>/<segment>@<contract>`."""
    recurring = {identifier: name for name, identifier in world.recurring.items()}
    async with world.store.transaction() as session:
        if recurring:
            contracts = await session.execute(select(Contract).where(col(Contract.id).in_(world.contracts.values())))
            await make_children(session, contracts.scalars().all(), now=at)
        for customer_id in world.customers.values():
            await make_rollovers(session, customer_id, now=at)
        rows = await session.execute(
            select(GrantRow)
            .where(col(GrantRow.recurring_id).is_not(None) | col(GrantRow.rolled_from_id).is_not(None))
            .order_by(col(GrantRow.created_at), col(GrantRow.id))
        )
        # What rolls from a balance is made after it, so each finds the name of its source.
        for row in rows.scalars():
            if row.recurring_id is not None:
                world.grants[f"{recurring[row.recurring_id]}#{row.recurring_number}"] = row.id
            else:
                source, contract = (
                    world.name_of("grants", row.rolled_from_id),
                    world.name_of("contracts", row.contract_id),
                )
                world.grants[f"{source}/{row.rolled_from_segment}@{contract}"] = row.id
