"""Outcomes: conversations, counted by sessions, and cases, counted by the latest of their states.

Owns what the sightings of one key, in order of time, add to a quantity (semantics 11.1 and 11.3). Both look back over the
start of a statement: a session that is open there was billed where it began, and a case that was billed is not billed
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

OutcomeKey = tuple[str, ...]
"""The values that name a participant or a case, in the order of the definition's properties."""

SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(minutes=1), timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session lasts a fixed time from its first event, for each combination of values of the properties `keys`."""

    keys: tuple[str, ...]
    window: timedelta

    def __post_init__(self) -> None:
        if not self.keys or len(set(self.keys)) < len(self.keys):
            raise ValueError("sessions are told apart by properties, each named once")
        if not SHORTEST_WINDOW <= self.window <= LONGEST_WINDOW:
            raise ValueError("a session lasts from a minute to 31 days")


@dataclass(frozen=True, slots=True)
class LatestState:
    """A case is named by the property `entity` and counts while the latest of its states is one of `counted`."""

    entity: str
    state: str
    counted: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.counted:
            raise ValueError("at least one state counts")

    @property
    def keys(self) -> tuple[str, ...]:
        """The properties that name a case."""
        return (self.entity,)


Outcome = Sessions | LatestState


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event of one key. Of a case, whether its state counts; carried over, it stands for all that was before it."""

    at: datetime
    is_counted: bool = True


def increments(rule: Outcome, sightings: Iterable[Sighting]) -> list[tuple[datetime, int]]:
    """When one key adds one, or takes one back. The sightings are in order of time, and of ingest at the same instant.

    A session opens at an event when none is open: one that began at s covers [s, s + window), whatever happens in it. A
    case begins uncounted.
    """
    found: list[tuple[datetime, int]] = []
    match rule:
        case Sessions(window=window):
            begun: datetime | None = None
            for sighting in sightings:
                if begun is None or sighting.at >= begun + window:
                    begun = sighting.at
                    found.append((begun, 1))
        case LatestState():  # pragma: no branch - the type checker proves that no case is missing
            is_counted = False
            for sighting in sightings:
                if sighting.is_counted is not is_counted:
                    is_counted = sighting.is_counted
                    found.append((sighting.at, 1 if is_counted else -1))
    return found


def parse_window(text: str) -> timedelta:
    """A fixed time as ISO 8601 writes it, as in PT24H, P1D or P1DT12H. Error: ValueError for anything else.

    Months and years have no fixed length and are refused; so is a fraction.
    """
    found = _WINDOW.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise ValueError("a fixed time is written as in PT24H or P1DT12H: days, hours, minutes and seconds")
    return timedelta(**{name: int(digits) for name, digits in found.groupdict(default="0").items()})


def window_text(window: timedelta) -> str:
    """The ISO 8601 text of a time: in hours, minutes and seconds, as in PT24H."""
    minutes, seconds = divmod(int(window.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    return "PT" + ("".join(f"{count}{letter}" for count, letter in parts if count) or "0S")


def outcome_to_json(rule: Outcome) -> dict[str, Any]:
    """The stored form."""
    if isinstance(rule, Sessions):
        return {"keys": list(rule.keys), "window": window_text(rule.window)}
    return {"entity": rule.entity, "state": rule.state, "counted": list(rule.counted)}


def outcome_from_json(value: Mapping[str, Any]) -> Outcome:
    """From the stored form."""
    if "window" in value:
        return Sessions(tuple(value["keys"]), parse_window(value["window"]))
    return LatestState(value["entity"], value["state"], tuple(value["counted"]))


_WINDOW = re.compile(
    r"P(?:(?P<days>[0-9]{1,6})D)?(?:T(?:(?P<hours>[0-9]{1,6})H)?(?:(?P<minutes>[0-9]{1,6})M)?(?:(?P<seconds>[0-9]{1,6})S)?)?"
)
