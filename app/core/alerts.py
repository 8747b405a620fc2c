"""Alerts: when a reading is an alarm, and what is told of a change (semantics 8.1).

Owns the kinds of alerts and the judgement. Readings come in as numbers; what they are taken from is told by
`alert_readings.py`, and states are kept by the alerts slice. Whoever judges the same readings twice hears nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.core.money import ZERO, exact

Subject = tuple[tuple[str, str], ...]
"""What is watched by itself: keys with values, sorted by key; empty for the customer as a whole."""
WHOLE: Subject = ()


class AlertType(StrEnum):
    """What an alert watches. In lower case it is the second half of the event's name."""

    SPEND_THRESHOLD_REACHED = "SPEND_THRESHOLD_REACHED"
    USAGE_THRESHOLD_REACHED = "USAGE_THRESHOLD_REACHED"
    INVOICE_TOTAL_REACHED = "INVOICE_TOTAL_REACHED"
    MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED = "MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED"
    LOW_REMAINING_COMMIT_BALANCE_REACHED = "LOW_REMAINING_COMMIT_BALANCE_REACHED"
    LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED = "LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED"
    LOW_REMAINING_CONTRACT_CREDIT_AND_COMMIT_BALANCE_REACHED = (
        "LOW_REMAINING_CONTRACT_CREDIT_AND_COMMIT_BALANCE_REACHED"
    )
    LOW_REMAINING_COMMIT_PERCENTAGE_REACHED = "LOW_REMAINING_COMMIT_PERCENTAGE_REACHED"
    LOW_REMAINING_CONTRACT_CREDIT_PERCENTAGE_REACHED = "LOW_REMAINING_CONTRACT_CREDIT_PERCENTAGE_REACHED"
    LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED = "LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED"
    LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED = "LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED"
    LOW_REMAINING_SEAT_BALANCE_REACHED = "LOW_REMAINING_SEAT_BALANCE_REACHED"


class AlertState(StrEnum):
    """Where an alert stands with a customer. No data is OK."""

    EVALUATING = "EVALUATING"
    OK = "OK"
    IN_ALARM = "IN_ALARM"


class Told(StrEnum):
    """Which of the two events a change is told by."""

    REACHED = "REACHED"
    RESOLVED = "RESOLVED"


INVOICES = frozenset({AlertType.INVOICE_TOTAL_REACHED, AlertType.MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED})
"""Those that watch what invoices come to."""
RISING = INVOICES | {AlertType.SPEND_THRESHOLD_REACHED, AlertType.USAGE_THRESHOLD_REACHED}
"""Alarm at the threshold and above; all others at the threshold and below."""
DAYS = frozenset(
    {
        AlertType.LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED,
        AlertType.LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED,
    }
)
BALANCES = frozenset(AlertType) - RISING - DAYS
"""Those of which it may be told as well that they are resolved."""
COMMITS = frozenset(kind for kind in AlertType if "COMMIT" in kind)
CREDITS = frozenset(kind for kind in AlertType if "CREDIT" in kind)


def event_of(kind: AlertType, told: Told = Told.REACHED) -> str:
    """The name of the event: `alerts.` and the kind in lower case."""
    return f"alerts.{kind.lower().removesuffix('reached')}{told.lower()}"


def reading_name(kind: AlertType) -> str:
    """What the number that is read is called where it is told."""
    if kind in INVOICES:
        return "invoiceTotal"
    if kind is AlertType.SPEND_THRESHOLD_REACHED:
        return "currentSpend"
    if kind is AlertType.USAGE_THRESHOLD_REACHED:
        return "currentUsage"
    if kind in DAYS:
        return "remainingDays"
    return "remainingPercentage" if "PERCENTAGE" in kind else "remainingBalance"


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that was read of a subject. `triggered_by` is the object from which it comes, where there is one."""

    value: Decimal
    subject: Subject = WHOLE
    triggered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What an alert asks for. Once in alarm it stays so until the reading is further away than `hysteresis`."""

    kind: AlertType
    threshold: Decimal
    hysteresis: Decimal = ZERO
    evaluate_on_create: bool = True
    notify_on_resolve: bool = False

    def is_alarm(self, value: Decimal, *, before: AlertState) -> bool:
        """Whether a reading is an alarm; at the threshold it is one."""
        margin = self.hysteresis if before is AlertState.IN_ALARM else ZERO
        with exact():
            if self.kind in RISING:
                return value >= self.threshold - margin
            return value <= self.threshold + margin


@dataclass(frozen=True, slots=True)
class Change:
    """A subject changed its state. `told` is the event that follows; None for a change in silence."""

    subject: Subject
    before: AlertState
    after: AlertState
    value: Decimal | None
    triggered_by: str | None
    told: Told | None


def judge(rule: Rule, known: Mapping[Subject, AlertState], readings: Sequence[Reading]) -> list[Change]:
    """What changes by new readings, sorted by subject.

    `known` holds the subjects that were stored before, the whole customer among them since the first evaluation; it is
    empty before that. A subject without a reading is OK. A first alarm is silent where the rule is not evaluated on
    creation; a subject that comes later was OK before.
    """
    found = {reading.subject: reading for reading in readings}
    usual = AlertState.OK if known else AlertState.EVALUATING
    changes: list[Change] = []
    for subject in sorted({WHOLE, *known, *found}):
        before, reading = known.get(subject, usual), found.get(subject)
        is_alarm = reading is not None and rule.is_alarm(reading.value, before=before)
        after = AlertState.IN_ALARM if is_alarm else AlertState.OK
        if before is after or (before is AlertState.EVALUATING and after is AlertState.OK and subject != WHOLE):
            continue
        value, by = (None, None) if reading is None else (reading.value, reading.triggered_by)
        changes.append(Change(subject, before, after, value, by, _told(rule, before, after)))
    return changes


def _told(rule: Rule, before: AlertState, after: AlertState) -> Told | None:
    if after is AlertState.IN_ALARM:
        is_loud = before is AlertState.OK or rule.evaluate_on_create
        return Told.REACHED if is_loud else None
    is_resolved = before is AlertState.IN_ALARM and rule.notify_on_resolve and rule.kind in BALANCES
    return Told.RESOLVED if is_resolved else None
