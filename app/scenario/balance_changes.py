"""Changes of commits and credits in the `edit` step of a scenario, as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.terms import RateTarget
from app.grants.editing import GrantEdit
from app.grants.reading import stored_grants
from app.grants.rows import definition_of
from app.grants.tables import GrantRow
from app.invoices.edited_parts import BalanceChange
from app.scenario.grants import scope_of
from app.scenario.world import Json, World


async def balance_change(session: AsyncSession, world: World, item: Json) -> BalanceChange:
    """One entry of `update_balances`; what it does not name stays."""
    grant_id = world.grants[item["id"]]
    terms: dict[str, Any] = {}
    if "priority" in item:
        terms["priority"] = Decimal(item["priority"])
    if "rate_type" in item:
        terms["rate_type"] = RateTarget(item["rate_type"])
    if "trueup_disabled" in item:
        terms["trueup_disabled"] = item["trueup_disabled"]
    scope = {"products": "product_ids", "tags": "tags", "specifiers": "specifiers"}
    if scope.keys() & item.keys():
        # A list that is not named stays, so products beside stored specifiers are refused and not dropped.
        named = scope_of(world, item)
        given: Mapping[str, Any] = {field: getattr(named, field) for name, field in scope.items() if name in item}
        [stored] = await stored_grants(session, [await session.get_one(GrantRow, grant_id)])
        terms["scope"] = replace(definition_of(stored).scope, **given)
    return BalanceChange(grant_id, GrantEdit(terms))
