"""Where a contract's invoices go over time: choices that begin at the bounds of its statement periods.

Owns which choice covers an instant, and from when a change may hold (semantics 7.1). What a choice names is opaque here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.period import Period, StatementSchedule, statement_period_at

MAX_CHOICES = 10
"""Of one contract, the first one among them."""


class EffectiveAt(StrEnum):
    """From which bound on a change holds."""

    START_OF_CURRENT_PERIOD = "START_OF_CURRENT_PERIOD"
    START_OF_NEXT_PERIOD = "START_OF_NEXT_PERIOD"


@dataclass(frozen=True, slots=True)
class Choice:
    """From an instant on, invoices go through a billing configuration; None leaves it to the customer's default."""

    starting_at: datetime
    configuration_id: UUID | None


def choice_at(choices: Iterable[Choice], at: datetime) -> Choice:
    """The choice that covers an instant: the last that has begun, and before all of them the first."""
    return choices_from(choices, at)[0]


def choices_from(choices: Iterable[Choice], since: datetime) -> list[Choice]:
    """The choice that covers an instant, and those that follow it, in order of time."""
    known = _in_order(choices)
    begun = [item for item in known if item.starting_at <= since]
    return [*begun[-1:], *known[len(begun) :]]


def segments(choices: Iterable[Choice], *, contract: Period) -> list[tuple[Period, Choice]]:
    """Each choice with the time that it covers, in order of time; without those that begin after the contract's end."""
    known = _in_order(choices)
    ends = [*(item.starting_at for item in known[1:]), None]
    covered = ((Period(item.starting_at, end).intersect(contract), item) for item, end in zip(known, ends, strict=True))
    return [(period, item) for period, item in covered if period is not None]


def _in_order(choices: Iterable[Choice]) -> list[Choice]:
    """By start; of two with one start the later in the list holds."""
    by_start = {item.starting_at: item for item in choices}
    return [by_start[start] for start in sorted(by_start)]


def change_bound(
    effective: EffectiveAt, schedule: StatementSchedule, *, contract: Period, now: datetime
) -> datetime | None:
    """The start of the statement period with which a change holds; None when the contract has no such period.

    Before a contract begins both are its own start, since nothing was billed of it.
    """
    if now < contract.starting_at:
        return contract.starting_at
    # Periods for which no invoice is generated have bounds all the same.
    period = statement_period_at(replace(schedule, generate_from=None), contract=contract, at=now)
    if period is None:
        return None
    if effective is EffectiveAt.START_OF_CURRENT_PERIOD:
        return period.starting_at
    return None if period.ending_before == contract.ending_before else period.ending_before
