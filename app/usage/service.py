"""Ingest: from checked events to stored, billable usage, in one transaction.

Owns de-duplication, the measuring of each event by every metric, and the ingest log. The whole batch is accepted or
refused; a repeated id is counted, and one that comes with another payload is reported while the first stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.actor import Actor
from app.catalog.metrics import METRICS_LOCK, metric_of
from app.catalog.tables import MetricRow
from app.core.metering import canonical_group, group_of, measure
from app.core.terms import Metric
from app.store.locks import share_named
from app.usage.checking import CheckedEvent, check
from app.usage.events import Delta, EventStore, NewEvent
from app.usage.events_postgres import PostgresEvents
from app.usage.incoming import IncomingEvent, bounded
from app.usage.tables import IngestBatch
from app.usage.watched import note_usage

EVENTS: EventStore = PostgresEvents()

_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(frozen=True, slots=True)
class IngestConflict:
    """An event whose transaction id was used before with other content; the first one stays."""

    index: int
    transaction_id: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch. `duplicates` counts every repeated id; `conflicts` are those among them that differ."""

    accepted: int
    duplicates: int
    conflicts: tuple[IngestConflict, ...]


async def ingest(
    session: AsyncSession,
    events: Sequence[IncomingEvent],
    *,
    actor: Actor,
    now: datetime,
    source: str,
    allow_historical: bool = False,
) -> IngestResult:
    """Store a batch of events.

    Errors: `BatchRefused` when any event is not acceptable (nothing is stored then), `LimitExceeded` above 10,000.
    """
    checked = check(bounded(events), now=now, allow_historical=allow_historical)
    await share_named(session, METRICS_LOCK)
    found = [metric_of(row) for row in (await session.execute(select(MetricRow))).scalars()]
    # The others are folded from the events themselves: what one event adds there depends on those before it.
    metrics = [metric for metric in found if metric.aggregation.is_additive]
    fresh, repeated = _distinct([(event, _prepared(event, metrics)) for event in checked])
    batch = (
        await session.execute(text("select nextval(pg_get_serial_sequence('ingest_batches', 'number'))"))
    ).scalar_one()
    stored = await EVENTS.append(session, [prepared for _, prepared in fresh], batch=batch)
    conflicts = [event for event, prepared in fresh if prepared.id in stored.conflicts]
    first_payload = {prepared.id: prepared.payload for _, prepared in fresh}
    # Inside one batch the first wins; one that repeats it with other content is a conflict like any other.
    conflicts += [event for event, prepared in repeated if prepared.payload != first_payload[prepared.id]]
    result = IngestResult(
        accepted=stored.accepted,
        duplicates=len(stored.duplicates) + len(repeated),
        conflicts=tuple(_conflict(event) for event in sorted(conflicts, key=lambda event: event.index)),
    )
    assert result.accepted + result.duplicates == len(events), "every event is accepted or a duplicate"
    session.add(
        IngestBatch(
            number=batch, received_at=now, source=source, key_id=actor.key_id, actor=actor.name,
            accepted=result.accepted, duplicates=result.duplicates,
            conflicts=[conflict.transaction_id for conflict in result.conflicts],
        )
    )  # fmt: skip
    if result.accepted:
        await note_usage(session, {event.event.reference for event in checked})
    return result


def _conflict(event: CheckedEvent) -> IngestConflict:
    return IngestConflict(
        event.index,
        event.transaction_id,
        f"Transaction id {event.transaction_id[:80]!r} came before with other content; the first one stays.",
    )


def _distinct(
    events: list[tuple[CheckedEvent, NewEvent]],
) -> tuple[list[tuple[CheckedEvent, NewEvent]], list[tuple[CheckedEvent, NewEvent]]]:
    """The first event of each id, and the later ones."""
    seen: set[UUID] = set()
    first: list[tuple[CheckedEvent, NewEvent]] = []
    later: list[tuple[CheckedEvent, NewEvent]] = []
    for pair in events:
        (later if pair[1].id in seen else first).append(pair)
        seen.add(pair[1].id)
    return first, later


def _prepared(checked: CheckedEvent, metrics: Sequence[Metric]) -> NewEvent:
    event = checked.event
    properties = _ENCODER.encode(event.properties)
    occurred_at = event.timestamp.astimezone(UTC)
    head = "\0".join((event.reference, event.event_type, occurred_at.isoformat())).encode()
    deltas: list[Delta] = []
    for metric in metrics:
        quantity = measure(metric, event)
        if quantity is not None:
            deltas.append(Delta(metric.id, canonical_group(group_of(metric, event)), quantity))
    return NewEvent(
        id=event_id(checked.transaction_id),
        payload=_digest(head + b"\0" + properties),
        transaction_id=checked.transaction_id,
        reference=event.reference,
        event_type=event.event_type,
        occurred_at=occurred_at,
        properties_json=properties.decode(),
        place=checked.index,
        deltas=tuple(deltas),
    )


def event_id(transaction_id: str) -> UUID:
    """The key under which an event is stored: the digest of its transaction id."""
    return _digest(transaction_id.encode())


def _digest(content: bytes) -> UUID:
    return UUID(bytes=hashlib.blake2b(content, digest_size=16).digest())
