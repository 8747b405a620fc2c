"""Which commits and credits a reader asks for.

Owns the conditions of semantics 5.6 and 5.7 on status, time and what is left. Whose balances they are, and what labels
they carry, is settled before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.grants import Grant
from app.core.ledger import GrantStatus, Movement, balance_at, status_at
from app.core.money import ZERO


@dataclass(frozen=True, slots=True)
class BalanceQuery:
    """Conditions that add up. Without `statuses` expired ones are hidden, and archived ones unless asked for.

    `covering_at`: some segment lasts over this instant. `starting_at`: some segment begins then or later.
    `effective_before`: some segment begins before. `exclude_zero` leaves out what has nothing to use now.
    """

    statuses: Collection[GrantStatus] | None = None
    include_archived: bool = False
    covering_at: datetime | None = None
    starting_at: datetime | None = None
    effective_before: datetime | None = None
    exclude_zero: bool = False


def is_wanted(
    query: BalanceQuery, grant: Grant, movements: Sequence[Movement], *, at: datetime, is_archived: bool = False
) -> bool:
    """Whether a commit or credit meets every condition at an instant."""
    status = status_at(grant, at=at, is_archived=is_archived)
    if query.statuses is not None:
        if status not in query.statuses:
            return False
    elif status is GrantStatus.EXPIRED or (status is GrantStatus.VOIDED and not query.include_archived):
        return False
    periods = [period for segment in grant.segments if (period := grant.access(segment)) is not None]
    if query.covering_at is not None and not any(period.contains(query.covering_at) for period in periods):
        return False
    if query.starting_at is not None and not any(period.starting_at >= query.starting_at for period in periods):
        return False
    if query.effective_before is not None and not any(
        period.starting_at < query.effective_before for period in periods
    ):
        return False
    return not query.exclude_zero or balance_at(grant, movements, at=at) > ZERO
