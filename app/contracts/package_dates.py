"""The dates of a package, as those of a contract that starts at an instant.

Owns the form in which a package keeps what a create says: its values as JSON, with offsets and durations in place of
dates. Every object with dates tells them from one origin, also inside others: the contract's start, or that of its first
whole statement period.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.core.relative import Span, SpanUnit, after

START, OFFSET = "startingAtOffset", "Offset"
LASTS = ("duration", "overallDuration")
DATES = {START: "startingAt", "dateOffset": "at", **dict.fromkeys(LASTS, "endingBefore")}
"""Names in a package -> what a create calls them; any other offset is called like its date."""
STATEMENT = "statement"


class BillingAnchor(StrEnum):
    """From when the offsets and durations of a package are counted."""

    CONTRACT_START_DATE = "CONTRACT_START_DATE"
    FIRST_BILLING_PERIOD = "FIRST_BILLING_PERIOD"


def dated(form: Any, start: datetime, origin: datetime) -> Any:
    """A package's form, or a part of it, with dates that are counted from the origin.

    What begins without an offset begins with the contract, and lasts from the origin on all the same, so that it meets
    what has one. Statements are told from the contract's start, since the origin follows from them.
    """
    if isinstance(form, list):
        return [dated(item, start, origin) for item in form]
    if not isinstance(form, Mapping):
        return form
    offset = _span(form.get(START))
    found: dict[str, Any] = {}
    for name, value in form.items():
        if name in LASTS and isinstance(value, Mapping):
            found["endingBefore"] = after(origin, *offset, *_span(value)).isoformat()
        elif name == START or (name.endswith(OFFSET) and value is not None):
            at = start if value is None else after(origin, *_span(value))
            found[DATES.get(name, name.removesuffix(OFFSET))] = at.isoformat()
        elif value is not None:
            found[name] = dated(value, start, start if name == STATEMENT else origin)
    return found


def _span(form: Mapping[str, Any] | None) -> tuple[Span, ...]:
    return () if form is None else (Span(form["value"], SpanUnit(form["unit"])),)


def told(path: tuple[str, ...]) -> tuple[str, ...]:
    """The place in a package of what a create calls so: `input`, then one of its own fields or one of `terms`."""
    names = {"startingAt": START, "endingBefore": "duration", "at": "dateOffset", "anchor": "anchorOffset"}
    return tuple(names.get(name, name) for name in path)
