"""Single events in the default store: by their ids, or those that a metric counts, one by one.

Owns the statements. The one for a metric asks what `folding_postgres.py` asks of an event, so what is listed is what was folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters, stretches
from app.core.metering import Event
from app.core.period import Period
from app.core.terms import Group, Metric
from app.usage.events import FoundEvent
from app.usage.folding_postgres import conditions_of, parts_of, reading_of, text_of
from app.usage.sql_statements import Statement

FOUND = "select id, transaction_id, batch, reference, event_type, occurred_at, cast(properties as text) from events"
FIND = f"{FOUND} where id = any(cast(:ids as uuid[]))"
BEHIND = (
    FOUND
    + """
where reference = any(:references) and ({parts}){conditions}
order by occurred_at, id limit :limit
"""
)
# Read as text: the driver's own way makes floats of JSON numbers.
PROPERTIES = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


async def find_events(session: AsyncSession, ids: Sequence[UUID]) -> list[FoundEvent]:
    """The events with these digests of their ids; see `EventStore.find`."""
    return [found_event(row) for row in await session.execute(text(FIND), {"ids": list(ids)})]


async def events_behind(
    session: AsyncSession,
    metric: Metric,
    *,
    group: Group,
    references: Sequence[str],
    period: Period,
    filters: Filters,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[FoundEvent]:
    """The events that a metric counts; see `EventStore.behind`."""
    values: dict[str, Any] = {"references": list(references), "limit": limit}
    if metric.query is None:
        conditions = [f"{reading_of(metric, values)} is not null", *conditions_of(metric, values)]
        for place, (name, value) in enumerate(group):
            values |= {f"by{place}": name, f"is{place}": value}
            conditions.append(f"{text_of(f'by{place}')} is not distinct from cast(:is{place} as text)")
    else:
        read = Statement()
        conditions = [read.where(metric.query)]
        values |= read.values
    if after is not None:
        values |= {"after_time": after[0], "after_id": after[1]}
        conditions.append("(occurred_at, id) > (cast(:after_time as timestamptz), cast(:after_id as uuid))")
    parts = " or ".join(parts_of(stretches(filters, period), values))
    statement = BEHIND.format(parts=parts, conditions="".join(f"\n  and {one}" for one in conditions))
    return [found_event(row) for row in await session.execute(text(statement), values)]


def found_event(row: Any) -> FoundEvent:
    """An event from the columns of `FOUND`."""
    return FoundEvent(row[0], row[1], row[2], Event(row[3], row[4], row[5].astimezone(UTC), PROPERTIES.decode(row[6])))
