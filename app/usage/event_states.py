"""How far an event has come on its way to an invoice (semantics 11.3): the words for it.

Owns the states. Which of them an event is in is found by the invoices slice, which knows what is final.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class EventState(StrEnum):
    """Where an event stands."""

    UNCLAIMED = "UNCLAIMED"
    PENDING = "PENDING"
    BILLABLE = "BILLABLE"
    REVERSED = "REVERSED"
    VOIDED = "VOIDED"


class AskedEvent(NamedTuple):
    """An event whose state is asked for; `customer_id` is whose it is now, None for nobody's."""

    event_id: UUID
    customer_id: UUID | None
    at: datetime
    is_voided: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A state; while it is PENDING, until when the event can be taken back, None where that is not known yet."""

    state: EventState
    until: datetime | None = None
