"""What makes an event acceptable, and the list of what is wrong with a batch.

Owns the rules for one event's fields. All events are checked before any is stored; one bad event refuses the batch,
and every bad one is named by its index, so that a sender can mend all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.clock import parse_instant
from app.core.metering import Event
from app.errors import BillingError, ErrorCode, InvalidInput
from app.usage.incoming import IncomingEvent

OLDEST = timedelta(days=34)
"""How late usage may arrive without the operator's override (semantics 1.1)."""
AHEAD = timedelta(hours=24)
MAX_TEXT = 128
MAX_PROPERTIES = 200
MAX_VALUE_TEXT = 4_096
MAX_DEPTH = 8
MAX_ITEMS = 1_000
MAX_DIGITS = 38
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class EventProblem:
    """One bad event: its index in the batch, a code and a sentence."""

    index: int
    code: ErrorCode
    message: str


class BatchRefused(InvalidInput):
    """A batch with bad events; nothing of it was stored. `problems` names at most the first hundred."""

    def __init__(self, problems: Sequence[EventProblem]) -> None:
        first = problems[0]
        super().__init__(
            first.code, f"Event {first.index}: {first.message}", path=("input", "events", str(first.index))
        )
        self.problems = tuple(problems)

    def each(self) -> tuple[BillingError, ...]:
        """One error for each bad event."""
        return tuple(
            InvalidInput(
                problem.code,
                f"Event {problem.index}: {problem.message}",
                path=("input", "events", str(problem.index)),
            )
            for problem in self.problems
        )


@dataclass(frozen=True, slots=True)
class CheckedEvent:
    """An acceptable event with its place in the batch."""

    index: int
    transaction_id: str
    event: Event


def check(events: Sequence[IncomingEvent], *, now: datetime, allow_historical: bool) -> list[CheckedEvent]:
    """All events, checked. `BatchRefused` when any is not acceptable."""
    checked: list[CheckedEvent] = []
    problems: list[EventProblem] = []
    for index, event in enumerate(events):
        try:
            checked.append(_checked(index, event, now=now, allow_historical=allow_historical))
        except BillingError as error:
            problems.append(EventProblem(index, error.code, error.message))
            if len(problems) == MAX_PROBLEMS:
                break
    if problems:
        raise BatchRefused(problems)
    return checked


def _checked(index: int, event: IncomingEvent, *, now: datetime, allow_historical: bool) -> CheckedEvent:
    transaction_id = _text("transactionId", event.transaction_id, longest=2 * MAX_TEXT)
    reference = _text("customerId", event.customer, longest=MAX_TEXT)
    event_type = _text("eventType", event.event_type, longest=MAX_TEXT)
    occurred_at = _timestamp(event.timestamp, now=now, allow_historical=allow_historical)
    if not isinstance(event.properties, dict):
        raise InvalidInput(ErrorCode.INVALID, "properties must be a JSON object.")
    if len(event.properties) > MAX_PROPERTIES:
        raise InvalidInput(
            ErrorCode.LIMIT_EXCEEDED, f"{len(event.properties)} properties; at most {MAX_PROPERTIES} are accepted."
        )
    for name, value in event.properties.items():
        _text("a property's name", name, longest=MAX_TEXT)
        _value(name, value, depth=1)
    return CheckedEvent(index, transaction_id, Event(reference, event_type, occurred_at, event.properties))


def _text(field: str, value: Any, *, longest: int) -> str:
    if value is None:
        raise InvalidInput(ErrorCode.REQUIRED, f"{field} is missing.")
    if not isinstance(value, str) or not value:
        raise InvalidInput(ErrorCode.INVALID, f"{field} must be a text of 1 to {longest} characters.")
    if len(value) > longest:
        raise InvalidInput(ErrorCode.INVALID, f"{field} has {len(value)} characters; at most {longest} are accepted.")
    return _storable(field, value)


def _storable(field: str, value: str) -> str:
    """PostgreSQL keeps neither NUL nor half of a surrogate pair; both are refused instead of failing later."""
    if "\0" in value:
        raise InvalidInput(ErrorCode.INVALID, f"{field} holds a NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(ErrorCode.INVALID, f"{field} holds half of a surrogate pair.") from error
    return value


def _timestamp(value: Any, *, now: datetime, allow_historical: bool) -> datetime:
    if value is None:
        raise InvalidInput(ErrorCode.REQUIRED, "timestamp is missing.")
    if isinstance(value, datetime):
        occurred_at = value
    else:
        try:
            occurred_at = parse_instant(value if isinstance(value, str) else str(value)[:40])
        except (ValueError, OverflowError) as error:
            raise InvalidInput(
                ErrorCode.INVALID, f"timestamp {str(value)[:40]!r} is not an RFC 3339 instant with a zone."
            ) from error
    if not 2000 <= occurred_at.year < 2200:
        raise InvalidInput(
            ErrorCode.INVALID, f"timestamp lies in the year {occurred_at.year}; 2000 to 2199 are accepted."
        )
    if occurred_at > now + AHEAD:
        raise InvalidInput(
            ErrorCode.EVENT_IN_FUTURE, f"timestamp {occurred_at.isoformat()} is more than 24 hours ahead of now."
        )
    if occurred_at < now - OLDEST and not allow_historical:
        raise InvalidInput(
            ErrorCode.EVENT_TOO_OLD,
            f"timestamp {occurred_at.isoformat()} is more than {OLDEST.days} days old; an operator can allow history.",
        )
    return occurred_at


def _value(name: str, value: Any, *, depth: int) -> None:
    if isinstance(value, str):
        if len(value) > MAX_VALUE_TEXT:
            raise InvalidInput(
                ErrorCode.LIMIT_EXCEEDED,
                f"Property {name[:40]!r} has {len(value)} characters; at most {MAX_VALUE_TEXT} are accepted.",
            )
        _storable(f"Property {name[:40]!r}", value)
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        _number(name, value)
    elif isinstance(value, dict | list):
        if depth == MAX_DEPTH or len(value) > MAX_ITEMS:
            raise InvalidInput(
                ErrorCode.LIMIT_EXCEEDED,
                f"Property {name[:40]!r} is nested deeper than {MAX_DEPTH} or has more than {MAX_ITEMS} items.",
            )
        for key in value if isinstance(value, dict) else ():
            _text(f"a name inside property {name[:40]!r}", key, longest=MAX_TEXT)
        for item in value.values() if isinstance(value, dict) else value:
            _value(name, item, depth=depth + 1)
    elif value is not None and not isinstance(value, bool):
        raise InvalidInput(ErrorCode.INVALID, f"Property {name[:40]!r} is not a JSON value.")


def _number(name: str, value: Decimal | int) -> None:
    number = Decimal(value) if isinstance(value, int) and abs(value) < 10**60 else value
    plain = isinstance(number, Decimal) and number.is_finite() and abs(number.adjusted()) < MAX_DIGITS
    if not plain or len(number.as_tuple().digits) > MAX_DIGITS:  # type: ignore[union-attr]
        raise InvalidInput(
            ErrorCode.INVALID, f"Property {name[:40]!r} is a number beyond {MAX_DIGITS} digits; send it as a text."
        )
