"""The statement periods of a contract that are open.

Owns that list; what is on the statements is left to `open.py`.
"""

from __future__ import annotations

from datetime import datetime

from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.period import Period, statement_periods, uncovered
from app.invoices.final import Final


def open_periods(contract: Contract, done: Final, *, now: datetime) -> list[Period]:
    """The statement periods of a contract that began by now and are not final, oldest first."""
    begun = statement_periods(schedule_of(contract), contract=contract_period(contract), begun_by=now)
    return [part for period in begun for part in uncovered(period, done.statements) if part.starting_at <= now]
