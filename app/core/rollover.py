"""A contract that follows another: what of the old balances comes along.

Owns the arithmetic of semantics 4.8 and 5.8. When the books are posted is left to the invoices slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.core.grants import Segment
from app.core.ledger import Movement, remaining
from app.core.money import ZERO, exact
from app.core.period import Period


class TransitionType(StrEnum):
    """Both end the old contract where the new one starts; only a renewal takes unused balances along."""

    RENEWAL = "RENEWAL"
    SUPERSEDE = "SUPERSEDE"


class FutureTrueUps(StrEnum):
    """What becomes of the old contract's true-ups: billed as they were planned, or dropped."""

    AS_IS = "AS_IS"
    REMOVE = "REMOVE"


def may_roll(segment: Segment, *, at: datetime) -> bool:
    """Whether a segment has begun by a renewal and not ended before it.

    One that ends at that very instant still rolls; one that has not begun is dropped (golden decision 30).
    """
    assert segment.period.ending_before is not None, "a segment has an end"
    return segment.period.starting_at < at <= segment.period.ending_before


def rolled(segment: Segment, movements: Sequence[Movement], *, fraction: Decimal) -> Decimal:
    """How much of a segment rolls over: what is left, at most the fraction of what it began with; never below zero.

    `movements` are all in the book of its grant but the rollover itself.
    """
    with exact():
        return min(max(remaining(segment, movements), ZERO), fraction * segment.amount)


def rollover_access(segment: Segment, *, contract: Period) -> Period:
    """When what rolled over may be used: as long as the new contract; open-ended, as long as the old segment was."""
    assert segment.period.ending_before is not None, "a segment has an end"
    length = segment.period.ending_before - segment.period.starting_at
    return Period(contract.starting_at, contract.ending_before or contract.starting_at + length)
