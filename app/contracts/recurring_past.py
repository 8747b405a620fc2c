"""How much a new recurring commit or credit would have to make at once.

Owns the refusal of too long a past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from uuid import UUID

from app.checks import Path
from app.contracts.recurring_terms import recurring_of
from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.recurring import children
from app.errors import ErrorCode, LimitExceeded
from app.grants.tables import RecurringGrantRow

MAX_BEGUN = 1_000
"""Periods that the recurring balances of one new contract may have behind them."""


def check_begun(
    rows: Sequence[RecurringGrantRow], contract: Contract, seats: Mapping[UUID, int], *, path: Path, now: datetime
) -> None:
    """Refuse what would have to make too many children at once, because it began so long ago: more than 1,000 periods.

    Those with a balance for each of some `seats` may make ten times as many.
    """
    period, schedule = contract_period(contract), schedule_of(contract)
    begun = chain.from_iterable(
        (seats.get(row.id, 1) for _ in children(recurring_of(row), schedule, contract=period, begun_by=now))
        for row in rows
    )
    counts = list(islice(begun, MAX_BEGUN + 1))
    if len(counts) > MAX_BEGUN or sum(counts) > 10 * MAX_BEGUN:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"More than {MAX_BEGUN} periods have begun already; let it start later or recur less often.",
            path=path,
        )
