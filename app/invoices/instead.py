"""What is supposed while invoices are made again for a preview.

Owns the books of balances as they would be; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.core.ledger import Movement
from app.invoices.giving_back import TAKEN
from app.usage.metric_hours import HoursReader, hours_of_metrics


@dataclass(frozen=True, slots=True)
class Instead:
    """Invoices that do not count while others are made again, what those in their place take, and what usage is read."""

    gone: set[UUID] = field(default_factory=set[UUID])
    draws: dict[UUID, list[Movement]] = field(default_factory=dict[UUID, list[Movement]])
    hours: HoursReader = hours_of_metrics

    def moved(self, grant_id: UUID, movements: Iterable[Movement]) -> list[Movement]:
        """What moved in the book of a balance, had it been so."""
        kept = (one for one in movements if one.invoice_id not in self.gone or one.kind not in TAKEN)
        return [*kept, *self.draws.get(grant_id, ())]
