"""Loads where alerts stand, one statement for all of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_

from app.alerts import tables
from app.graphql.context import Context
from app.graphql.nodes import LOADERS

STATES: Any = tables.AlertStateRow.__table__.c  # type: ignore[attr-defined]


async def _states(context: Context, keys: Sequence[tuple[UUID, UUID]]) -> Sequence[list[tables.AlertStateRow]]:
    rows = await context.session.execute(
        select(tables.AlertStateRow)
        .where(tuple_(STATES.alert_id, STATES.customer_id).in_(list(keys)))
        .order_by(STATES.subject)
    )
    found: dict[tuple[UUID, UUID], list[tables.AlertStateRow]] = {key: [] for key in keys}
    for row in rows.scalars():
        found[row.alert_id, row.customer_id].append(row)
    return [found[key] for key in keys]


LOADERS["alert.states"] = _states
