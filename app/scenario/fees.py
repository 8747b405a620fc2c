"""The changes of quantities with which the subscriptions of a scenario's contracts begin."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import parse_instant
from app.contracts.quantities import update_quantity
from app.scenario.world import Json, World


async def change_quantities(session: AsyncSession, world: World, contract: Json, *, now: datetime) -> None:
    """Add the quantity updates that a new contract comes with."""
    for subscription in contract.get("subscriptions", []):
        for update in subscription.get("updates", []):
            await update_quantity(
                session,
                world.subscriptions[subscription["id"]],
                starting_at=parse_instant(update["starting_at"]),
                quantity=Decimal(update["quantity"]) if "quantity" in update else None,
                delta=Decimal(update["delta"]) if "delta" in update else None,
                now=now,
            )
