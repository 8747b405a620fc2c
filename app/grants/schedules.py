"""Schedules that recur: of charges, and of what is paid for commits.

Owns what one may say of its dates; how often and how much is checked by those who bill by it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from app.checks import Path
from app.core.fees import Distribution, RecurringSchedule
from app.core.period import Frequency
from app.errors import ErrorCode, InvalidInput


def recurring_schedule(
    *,
    starting_at: datetime,
    ending_before: datetime,
    frequency: Frequency,
    unit_price: Decimal,
    quantity: Decimal,
    distribution: Distribution,
    path: Path,
) -> RecurringSchedule:
    """A recurring schedule; errors: NOT_SUPPORTED for weeks, INVALID_INTERVAL."""
    if frequency is Frequency.WEEKLY:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "A charge recurs MONTHLY, QUARTERLY, SEMI_ANNUAL or ANNUAL, not WEEKLY.",
            path=(*path, "frequency"),
        )
    if ending_before <= starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"endingBefore {ending_before.isoformat()} must lie after startingAt {starting_at.isoformat()}.",
            path=(*path, "endingBefore"),
        )
    return RecurringSchedule(
        starting_at=starting_at.astimezone(UTC),
        ending_before=ending_before.astimezone(UTC),
        frequency=frequency,
        unit_price=unit_price,
        quantity=quantity,
        distribution=distribution,
    )
