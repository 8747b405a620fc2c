"""Usage queries of a scenario.

Owns how an answer is spelled: one value, or an entry for each combination of values of the properties asked for.
"""

from __future__ import annotations

from typing import Any

from app.clock import parse_instant
from app.core.money import canonical
from app.core.windows import UsageWindow
from app.scenario.catalog import grouping
from app.scenario.world import Json, World
from app.usage.queries import query_usage


async def usage(world: World, query: Json) -> Any:
    """The value of a metric from one instant to another; 0 when nothing counted."""
    wanted = grouping(query)
    async with world.store.transaction() as session:
        found = await query_usage(
            session,
            customer_id=world.customers[query["customer"]],
            metric_id=world.metrics[query["metric"]],
            starting_at=parse_instant(query["from"]),
            ending_before=parse_instant(query["to"]),
            size=UsageWindow.NONE,
            by=wanted,
        )
    values = [(dict(entry.group), canonical(entry.value)) for entry in found.entries if entry.value is not None]
    if wanted:
        return [{"group": group, "value": value} for group, value in values]
    return {"value": values[0][1] if values else "0"}
