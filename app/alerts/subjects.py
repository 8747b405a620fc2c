"""How the subjects of an alert are stored and said.

Owns their text: JSON pairs, sorted by key, so that the same subject is the same text.
"""

from __future__ import annotations

import json
from decimal import Decimal

from app.alerts.tables import AlertRow
from app.core.alerts import AlertType, Rule, Subject
from app.core.money import ZERO


def text_of_subject(subject: Subject) -> str:
    """The subject as it is stored."""
    return json.dumps(subject, separators=(",", ":"), ensure_ascii=False)


def subject_of(text: str) -> Subject:
    """The subject that was stored."""
    return tuple((str(key), str(value)) for key, value in json.loads(text))


def rule_of(row: AlertRow) -> Rule:
    """What an alert asks for, as the core reads it."""
    return Rule(
        kind=AlertType(row.type),
        threshold=row.threshold,
        hysteresis=ZERO if row.hysteresis is None else Decimal(row.hysteresis),
        evaluate_on_create=row.evaluate_on_create,
        notify_on_resolve=row.notify_on_resolve,
    )
