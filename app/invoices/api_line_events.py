"""The events behind a line in GraphQL.

Owns their type and the page; the usage slice reads them.
"""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.core.explain import Explanation
from app.core.period import Period
from app.core.terms import Group
from app.graphql.connection import Connection, Edge, PageInfo, page_size
from app.graphql.context import Info
from app.graphql.cursors import read_cursor, write_cursor
from app.graphql.scalars import JSON
from app.invoices.api_line_parts import Origin
from app.usage.api_search import plain
from app.usage.behind import BehindEvent, events_behind

ORDER = "line.events"


@strawberry.type(description="A stored event that counts for a line.")
class LineEvent:
    transaction_id: str = strawberry.field(description="The sender's id of it.")
    event_type: str = strawberry.field(description="Its kind.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    received_at: datetime = strawberry.field(description="When it was accepted.")
    properties: JSON = strawberry.field(description="What it says; numbers with a fraction are shown as strings.")
    value: str | None = strawberry.field(
        description="What it brings to the metric: a number, or the value that is counted once; null for SQL metrics."
    )
    is_late: bool = strawberry.field(description="Whether it came after the invoice was final, and is not on it.")


async def events_of(
    info: Info, found: Explanation, origin: Origin, *, first: int, after: str | None
) -> Connection[LineEvent]:
    """A page of the events behind a line."""
    line = found.line
    first = page_size(first)
    position = None
    if after is not None:
        timestamp, identifier = read_cursor(after, order=ORDER, size=2)
        position = (timestamp, identifier)
    if found.measured is None or line.starting_at is None or not origin.is_stored:
        return _connection([], [], has_next=False, has_previous=position is not None)
    group: Group = tuple(sorted(dict((*line.presentation, *line.pricing)).items()))
    events, has_next = await events_behind(
        info.context.session, customer_id=origin.terms.customer_id, metric_id=found.measured.metric_id, group=group,
        period=Period(line.starting_at, line.ending_before), filters=origin.terms.usage_filters, first=first,
        after=position,
    )  # fmt: skip
    cursors = [write_cursor(event.position, order=ORDER) for event in events]
    nodes = [_shown(event, origin) for event in events]
    return _connection(nodes, cursors, has_next=has_next, has_previous=position is not None)


def _connection(
    nodes: list[LineEvent], cursors: list[str], *, has_next: bool, has_previous: bool
) -> Connection[LineEvent]:
    return Connection(
        edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=has_next,
            has_previous_page=has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
    )


def _shown(behind: BehindEvent, origin: Origin) -> LineEvent:
    event = behind.found.event
    return LineEvent(
        transaction_id=behind.found.transaction_id,
        event_type=event.event_type,
        timestamp=event.timestamp,
        received_at=behind.received_at,
        properties=JSON(plain(event.properties)),
        value=behind.value,
        is_late=origin.made_at is not None and behind.received_at > origin.made_at,
    )
