"""Makes the scheduled charges and subscriptions of a scenario, and carries out the steps that add to them.

Owns the scenario's ids of what was made: rows are in the order in which they were added. How a charge is written is in
`fee_inputs.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.clock import parse_instant
from app.contracts.charges import add_scheduled_charge
from app.contracts.quantities import update_quantity
from app.contracts.subscriptions import add_subscription
from app.contracts.tables import ScheduledChargeRow, SubscriptionRow
from app.scenario.fee_inputs import new_charge, new_subscription
from app.scenario.world import Json, World


async def keep_fees(session: AsyncSession, world: World, contract: Json, contract_id: UUID, *, now: datetime) -> None:
    """Remember what was made under the scenario's ids, and add the quantity updates that it starts with."""
    charges = await session.execute(
        select(ScheduledChargeRow.id)
        .where(ScheduledChargeRow.contract_id == contract_id)
        .order_by(col(ScheduledChargeRow.added))
    )
    for charge, identifier in zip(contract.get("scheduled_charges", []), charges.scalars(), strict=True):
        world.charges[charge["id"]] = identifier
    subscriptions = await session.execute(
        select(SubscriptionRow.id)
        .where(SubscriptionRow.contract_id == contract_id)
        .order_by(col(SubscriptionRow.added))
    )
    for subscription, identifier in zip(contract.get("subscriptions", []), subscriptions.scalars(), strict=True):
        await _keep_subscription(session, world, subscription, identifier, now=now)


async def edit_fees(session: AsyncSession, world: World, step: Json, *, now: datetime) -> None:
    """What an `edit` step adds, in the order of the format."""
    contract_id = world.contracts[step["contract"]]
    for charge in step.get("add_scheduled_charges", []):
        added = await add_scheduled_charge(session, world.connections, contract_id, new_charge(world, charge), now=now)
        world.charges[charge["id"]] = added.id
    for subscription in step.get("add_subscriptions", []):
        row = await add_subscription(session, contract_id, new_subscription(world, subscription), now=now)
        await _keep_subscription(session, world, subscription, row.id, now=now)
    for update in step.get("quantity_updates", []):
        await _update(session, world.subscriptions[update["subscription"]], update, now=now)


async def _keep_subscription(
    session: AsyncSession, world: World, subscription: Json, identifier: UUID, *, now: datetime
) -> None:
    world.subscriptions[subscription["id"]] = identifier
    for update in subscription.get("updates", []):
        await _update(session, identifier, update, now=now)


async def _update(session: AsyncSession, subscription_id: UUID, update: Json, *, now: datetime) -> None:
    await update_quantity(
        session,
        subscription_id,
        starting_at=parse_instant(update["starting_at"]),
        quantity=Decimal(update["quantity"]) if "quantity" in update else None,
        delta=Decimal(update["delta"]) if "delta" in update else None,
        now=now,
    )
