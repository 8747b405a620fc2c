"""What callers send to preview usage.

Owns the GraphQL inputs and their way to given usage; the invoices that come of it are shown by the invoices slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import strawberry

from app.graphql.scalars import JSON
from app.graphql.values import described_enum
from app.usage.incoming import IncomingEvent
from app.usage.preview import MAX_GIVEN, GivenUsage, given_events


class Mode(Enum):
    """What becomes of usage that is stored."""

    REPLACE = "REPLACE"
    MERGE = "MERGE"


UsagePreviewMode = described_enum(
    Mode,
    name="UsagePreviewMode",
    description="What becomes of usage that is stored.",
    sentences={
        Mode.REPLACE: "It is left out: the given events are all that was used.",
        Mode.MERGE: "It counts too, and the given events come after it.",
    },
)


@strawberry.input(description="An event that was not sent.")
class PreviewEventInput:
    event_type: str = strawberry.field(description="Kind of event, which metrics select by.")
    timestamp: datetime | None = strawberry.field(
        default=None, description="When it would happen, in the limits of usage that is sent; default: now."
    )
    properties: JSON | None = strawberry.field(default=None, description="A JSON object, as in usage that is sent.")


@strawberry.input(description="What to preview.")
class UsagePreviewInput:
    customer_id: strawberry.ID = strawberry.field(description="Whose usage it would be.")
    events: list[PreviewEventInput] = strawberry.field(description=f"The events, 1 to {MAX_GIVEN}.")
    mode: UsagePreviewMode = strawberry.field(  # type: ignore[valid-type]
        default=Mode.REPLACE, description="What becomes of usage that is stored."
    )


def given_usage(found: UsagePreviewInput, *, now: datetime) -> GivenUsage:
    """The events, checked as if they were sent. Errors: those of `given_events`."""
    incoming = _incoming(found.events, customer=found.customer_id, now=now)
    return GivenUsage(given_events(incoming, now=now), replaces=found.mode is Mode.REPLACE)


@strawberry.input(description="Usage for a preview of invoices, instead of what is stored or beside it.")
class SimulatedUsageInput:
    events: list[PreviewEventInput] = strawberry.field(
        description=f"The events, 1 to {MAX_GIVEN}, however far in the past; each needs its timestamp."
    )
    mode: UsagePreviewMode = strawberry.field(  # type: ignore[valid-type]
        default=Mode.REPLACE, description="What becomes of usage that is stored."
    )


def simulated_usage(found: SimulatedUsageInput, *, now: datetime) -> GivenUsage:
    """The events of a preview that may reach into the past. Errors: those of `given_events`."""
    incoming = _incoming(found.events, customer="preview", now=now)
    events = given_events(incoming, now=now, allow_historical=True)
    return GivenUsage(events, replaces=found.mode is Mode.REPLACE)


def _incoming(events: Sequence[PreviewEventInput], *, customer: str, now: datetime) -> list[IncomingEvent]:
    return [
        IncomingEvent(
            transaction_id=f"preview-{place}",
            customer=customer,
            event_type=event.event_type,
            timestamp=event.timestamp or now,
            properties={} if event.properties is None else event.properties,
        )
        for place, event in enumerate(events)
    ]
