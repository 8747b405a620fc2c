"""Which price applies: the rates of a card as timelines.

Owns the schedule algebra of semantics 3.2. How a rate prices a quantity is left to `rates`. Entries are never cut or
rewritten when another is added; the answer is found on reading, so a past state of the card can always be asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from app.core.period import Frequency
from app.core.terms import Group, RateEntry

RateBook = Mapping[tuple[UUID, Group, Frequency | None], Sequence[RateEntry]]
"""The entries of each product, group values and billing frequency, the last added first."""


def rate_book(rates: Iterable[RateEntry]) -> RateBook:
    """The entries of a card, arranged for `entry_at`; their order in the input plays no role."""
    book: dict[tuple[UUID, Group, Frequency | None], list[RateEntry]] = {}
    for entry in sorted(rates, key=lambda entry: (entry.added, entry.id), reverse=True):
        book.setdefault((entry.product_id, entry.group_values, entry.billing_frequency), []).append(entry)
    return book


def entry_at(
    book: RateBook, *, product_id: UUID, pricing: Group, at: datetime, billing_frequency: Frequency | None = None
) -> RateEntry | None:
    """The entry in force at an instant; None when the usage has no rate (semantics 2.4). Usage has no frequency.

    Entries with exactly these group values come first, then those without group values. Within each, a new entry
    replaces what was there on its own interval; where it has an end, the earlier one resumes.
    """
    for group_values in (pricing, ()):
        for entry in book.get((product_id, group_values, billing_frequency), ()):
            if entry.period.contains(at):
                return entry
    return None


def change_instants(rates: Collection[RateEntry]) -> tuple[datetime, ...]:
    """Every instant at which some entry begins or ends, ascending.

    Also where a later entry hides the change: a statement is split at every change of the card (golden decision 13),
    and lines must not move when an unrelated entry is added.
    """
    starts = {entry.period.starting_at for entry in rates}
    ends = {entry.period.ending_before for entry in rates if entry.period.ending_before is not None}
    return tuple(sorted(starts | ends))
