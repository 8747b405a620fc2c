"""The events behind a quantity: one by one, with what each brings and when it came.

Owns the page and the receipt of each event. Which events a metric counts is asked of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core import metering, money
from app.core.filters import Filters
from app.core.period import Period
from app.core.terms import Group
from app.usage.events import FoundEvent
from app.usage.receipts import received_times
from app.usage.references import references_of
from app.usage.service import EVENTS

Position = tuple[datetime, UUID]
"""When an event happened, and the digest of its id."""


@dataclass(frozen=True, slots=True)
class BehindEvent:
    """An event that counts. `value` is the number, or for UNIQUE the text, that it brings; None for an SQL metric."""

    found: FoundEvent
    received_at: datetime
    value: str | None

    @property
    def position(self) -> Position:
        """Its place among the events of a quantity."""
        return self.found.event.timestamp, self.found.id


async def events_behind(
    session: AsyncSession,
    *,
    customer_id: UUID,
    metric_id: UUID,
    group: Group,
    period: Period,
    filters: Filters,
    first: int,
    after: Position | None,
) -> tuple[Sequence[BehindEvent], bool]:
    """The next `first` events of a customer that a metric counts in a period for a group, and whether more follow."""
    metric = metric_of(await session.get_one(MetricRow, metric_id))
    found = await EVENTS.behind(
        session, metric, group=group, references=await references_of(session, customer_id), period=period,
        filters=filters, after=after, limit=first + 1,
    )  # fmt: skip
    shown = found[:first]
    received_at = await received_times(session, {item.batch for item in shown})
    events: list[BehindEvent] = []
    for item in shown:
        value = None if metric.query is not None else metering.value_of(metric, item.event)
        text = value if value is None or isinstance(value, str) else money.canonical(value)
        events.append(BehindEvent(item, received_at[item.batch], text))
    return events, len(found) > first
