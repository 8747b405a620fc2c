"""The usage of a scenario on its way in: what is received by when.

Owns the order of live events, the ids of those that have none, and their batches.
"""

from __future__ import annotations

from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

from app.actor import system
from app.clock import parse_instant
from app.scenario.reading import expand
from app.scenario.world import Json, World
from app.usage.incoming import MAX_EVENTS, IncomingEvent
from app.usage.service import ingest

ACTOR = system("scenario", kind="command")


class Stream:
    """The live events of a scenario, each received at its own time or at `received_at`."""

    def __init__(self, events: list[Json]) -> None:
        singles = [single for event in events for single in expand(event)]
        received = [(parse_instant(item.get("received_at", item["timestamp"])), n) for n, item in enumerate(singles)]
        self._waiting = [(at, incoming(singles[n], f"live-{n}")) for at, n in sorted(received)]

    def received_by(self, at: datetime) -> list[IncomingEvent]:
        """Take the events received up to an instant."""
        due = [event for received, event in self._waiting if received <= at]
        self._waiting = self._waiting[len(due) :]
        return due


def incoming(event: Json, unique: str) -> IncomingEvent:
    """A scenario's event as ingest takes it; without a transaction id it is unique."""
    return IncomingEvent(
        event.get("transaction_id") or f"unique-{uuid5(NAMESPACE_OID, unique)}",
        event["customer"],
        event["type"],
        event["timestamp"],
        event.get("properties", {}),
    )


async def receive(world: World, stream: Stream, at: datetime) -> None:
    """Take in what is received by an instant; events of any age count."""
    events = stream.received_by(at)
    for first in range(0, len(events), MAX_EVENTS):
        async with world.store.transaction() as session:
            await ingest(
                session, events[first : first + MAX_EVENTS], actor=ACTOR, now=at, source="scenario",
                allow_historical=True,
            )  # fmt: skip
