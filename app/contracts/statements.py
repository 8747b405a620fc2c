"""The statement schedule that a caller asks for, as a core value.

Owns the refusals: which frequency, day and anchor go together, each with its code. The calendar is in `core.period`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from app.checks import hour_of
from app.core.period import Frequency, StatementDay, StatementSchedule
from app.errors import ErrorCode, InvalidInput

PATH = ("input", "statement")


def statement_schedule(
    *,
    frequency: Frequency = Frequency.MONTHLY,
    day: StatementDay = StatementDay.FIRST_OF_MONTH,
    anchor: datetime | None = None,
    generate_from: datetime | None = None,
) -> StatementSchedule:
    """The schedule. Errors: NOT_SUPPORTED for half years, REQUIRED or INVALID about the anchor, NOT_HOUR_ALIGNED."""
    if frequency is Frequency.SEMI_ANNUAL:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "Statements are WEEKLY, MONTHLY, QUARTERLY or ANNUAL, not SEMI_ANNUAL.",
            path=(*PATH, "frequency"),
        )
    if day is StatementDay.CUSTOM_DATE and anchor is None:
        raise InvalidInput(ErrorCode.REQUIRED, "CUSTOM_DATE needs an anchor.", path=(*PATH, "anchor"))
    if day is not StatementDay.CUSTOM_DATE and anchor is not None:
        raise InvalidInput(ErrorCode.INVALID, "An anchor goes with CUSTOM_DATE only.", path=(*PATH, "anchor"))
    return StatementSchedule(
        frequency=frequency,
        day=day,
        anchor=None if anchor is None else hour_of(anchor, path=(*PATH, "anchor")),
        generate_from=None if generate_from is None else generate_from.astimezone(UTC),
    )
