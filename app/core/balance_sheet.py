"""Where everything is that a commit or credit was ever granted.

Owns the sum that `metrograph check` holds against what stands elsewhere: on invoice lines, in other balances.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.core.grants import Grant
from app.core.ledger import Movement, TransferKind, ledger, remaining
from app.core.money import ZERO, exact

_GRANTED = (TransferKind.MANUAL, TransferKind.SEAT_BASED_ADJUSTMENT)


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """`granted` with entries by hand; `taken` by invoices, net of what voids gave back, or canceled with its purchase.

    `left` is what is in segments that are not over, below zero where entries by hand took more than there was.
    """

    granted: Decimal
    taken: Decimal
    rolled_over: Decimal
    expired: Decimal
    left: Decimal

    @property
    def is_balanced(self) -> bool:
        """Whether nothing came from nowhere, and nothing went there."""
        with exact():
            return self.granted == self.taken + self.rolled_over + self.expired + self.left


def balance_sheet(grant: Grant, movements: Sequence[Movement], *, now: datetime) -> BalanceSheet:
    """The sheet as of an instant; of a segment that never begins, everything has expired."""
    with exact():
        expired = -sum((item.amount for item in ledger(grant, movements, now=now) if _is_expiration(item.type)), ZERO)
        left = ZERO
        for segment in grant.segments:
            access, rest = grant.access(segment), remaining(segment, movements)
            if access is None:
                expired += rest
            elif access.ending_before is not None and access.ending_before <= now:
                left += min(rest, ZERO)
            else:
                left += rest
        of_segments = sum((segment.amount for segment in grant.segments), ZERO)
        by_hand = _moved(movements, _GRANTED)
        rolled_over = -_moved(movements, (TransferKind.ROLLOVER,))
        others = set(TransferKind) - {*_GRANTED, TransferKind.ROLLOVER}
        return BalanceSheet(of_segments + by_hand, -_moved(movements, others), rolled_over, expired, left)


def _is_expiration(entry_type: str) -> bool:
    return entry_type.endswith("_EXPIRATION")


def _moved(movements: Sequence[Movement], kinds: Collection[TransferKind]) -> Decimal:
    return sum((item.amount for item in movements if item.kind in kinds), ZERO)
