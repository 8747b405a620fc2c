"""The dates of a package, as those of a contract that starts at an instant.

Owns the form in which a package keeps what a create says: its values as JSON, with offsets and durations in place of
dates. Every object with dates tells them from the contract's start, also inside others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.relative import Span, SpanUnit, after

START, OFFSET = "startingAtOffset", "Offset"
LASTS = ("duration", "overallDuration")
DATES = {START: "startingAt", "dateOffset": "at", **dict.fromkeys(LASTS, "endingBefore")}
"""Names in a package -> what a create calls them; any other offset is called like its date."""


def dated(form: Any, start: datetime) -> Any:
    """A package's form, or a part of it, with dates. What begins without an offset begins with the contract."""
    if isinstance(form, list):
        return [dated(item, start) for item in form]
    if not isinstance(form, Mapping):
        return form
    offset = _span(form.get(START))
    found: dict[str, Any] = {}
    for name, value in form.items():
        if name in LASTS and isinstance(value, Mapping):
            found["endingBefore"] = after(start, *offset, *_span(value)).isoformat()
        elif name == START or (name.endswith(OFFSET) and value is not None):
            found[DATES.get(name, name.removesuffix(OFFSET))] = after(start, *_span(value)).isoformat()
        elif value is not None:
            found[name] = dated(value, start)
    return found


def _span(form: Mapping[str, Any] | None) -> tuple[Span, ...]:
    return () if form is None else (Span(form["value"], SpanUnit(form["unit"])),)


def told(path: tuple[str, ...]) -> tuple[str, ...]:
    """The place in a package of what a create calls so: `input`, then one of its own fields or one of `terms`."""
    names = {"startingAt": START, "endingBefore": "duration", "at": "dateOffset", "anchor": "anchorOffset"}
    return tuple(names.get(name, name) for name in path)
