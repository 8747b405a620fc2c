"""Usage as callers write it: plain JSON, Metronome-like snake_case and CloudEvents, decoded to one shape.

Owns the wire shapes only. Numbers with a fraction become Decimal from their text and never pass through a float; what
the values must be is checked in `checking.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from app.errors import ErrorCode, InvalidInput, LimitExceeded

MAX_EVENTS = 10_000
"""Events in one call (interface: `POST /v1/events`)."""


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event as sent. `timestamp` is still text; a property value may be anything that JSON can say."""

    transaction_id: Any
    customer: Any
    event_type: Any
    timestamp: Any
    properties: Any


class _Plain(msgspec.Struct):
    """Both spellings of the plain shape; the camelCase one wins where a caller sends both."""

    transactionId: Any = None  # noqa: N815 - the wire's spelling
    transaction_id: Any = None
    customerId: Any = None  # noqa: N815
    customer_id: Any = None
    eventType: Any = None  # noqa: N815
    event_type: Any = None
    timestamp: Any = None
    properties: Any = None


class _Cloud(msgspec.Struct):
    """The attributes of a CloudEvent that billing needs; extensions are ignored."""

    id: Any = None
    source: Any = None
    type: Any = None
    subject: Any = None
    time: Any = None
    data: Any = None
    specversion: Any = None


_PLAIN = msgspec.json.Decoder(list[_Plain] | _Plain, float_hook=Decimal)  # type: ignore[arg-type]
_CLOUD = msgspec.json.Decoder(_Cloud, float_hook=Decimal)
_CLOUD_BATCH = msgspec.json.Decoder(list[_Cloud], float_hook=Decimal)


def decode(body: bytes, *, media_type: str) -> list[IncomingEvent]:
    """The events of a request body. InvalidInput when it is not such JSON, LimitExceeded above 10,000 events."""
    try:
        match media_type:
            case "application/json" | "":
                found = _PLAIN.decode(body)
                plain = found if isinstance(found, list) else [found]
                events = [_from_plain(event) for event in plain]
            case "application/cloudevents+json":
                events = [_from_cloud(_CLOUD.decode(body))]
            case "application/cloudevents-batch+json":
                events = [_from_cloud(event) for event in _CLOUD_BATCH.decode(body)]
            case _:
                raise InvalidInput(
                    ErrorCode.INVALID,
                    f"Content type {media_type[:80]!r} is not understood; send application/json, "
                    "application/cloudevents+json or application/cloudevents-batch+json.",
                )
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(ErrorCode.INVALID, f"The body is not a JSON event or array of events: {error}.") from error
    return bounded(events)


def bounded(events: Sequence[IncomingEvent]) -> list[IncomingEvent]:
    """Refuse a batch above the limit whole."""
    if len(events) > MAX_EVENTS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"{len(events)} events in one call; at most {MAX_EVENTS} are accepted. Nothing was stored; split it.",
        )
    return list(events)


def _from_plain(event: _Plain) -> IncomingEvent:
    return IncomingEvent(
        event.transaction_id if event.transactionId is None else event.transactionId,
        event.customer_id if event.customerId is None else event.customerId,
        event.event_type if event.eventType is None else event.eventType,
        event.timestamp,
        {} if event.properties is None else event.properties,
    )


def _from_cloud(event: _Cloud) -> IncomingEvent:
    """`source#id` is the transaction id, `subject` the customer, `data` the properties; `time` is required."""
    known = isinstance(event.source, str) and isinstance(event.id, str) and event.source and event.id
    return IncomingEvent(
        f"{event.source}#{event.id}" if known else None,
        event.subject,
        event.type,
        event.time,
        {} if event.data is None else event.data,
    )
