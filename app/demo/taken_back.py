"""Outcomes of the demo that did not last: a reopened conversation, and an approved order that was fraud.

Owns which they are. The first is taken back while its statement is a draft, the second from the invoice that billed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.demo.founding import ACTOR, note
from app.demo.usage import APPROVED
from app.invoices.reversing import reverse_outcome
from app.invoices.usage_voids import void_usage
from app.store.engine import Store
from app.usage.incoming import IncomingEvent


@dataclass(slots=True)
class TakenBack:
    """What is still to be taken back: an order of each month that turns out to be fraud once it is billed."""

    store: Store
    fraud: str | None = None

    async def after_usage(self, batch: Sequence[IncomingEvent], *, now: datetime) -> None:
        """On a Friday the first conversation that the bot resolved is reopened; an approved order is noted."""
        if self.fraud is None:
            self.fraud = _first(batch, "transaction", decision=APPROVED)
        reopened = _first(batch, "conversation_resolved", resolvedBy="bot")
        if reopened is not None and now.weekday() == 4:
            async with self.store.transaction() as session:
                await void_usage(session, [reopened], reason="reopened by the customer", actor=ACTOR, now=now)
                await note(session, "usage.void", now)

    async def after_run(self, *, now: datetime) -> None:
        """The noted order was fraud: what was billed for it goes back."""
        if self.fraud is not None:
            async with self.store.transaction() as session:
                await reverse_outcome(session, self.fraud, reason="fraud chargeback", now=now)
                await note(session, "outcome.reverse", now)
            self.fraud = None


def _first(batch: Sequence[IncomingEvent], kind: str, **wanted: str) -> str | None:
    found = (
        event.transaction_id
        for event in batch
        if event.event_type == kind and wanted.items() <= event.properties.items()
    )
    return next(found, None)
