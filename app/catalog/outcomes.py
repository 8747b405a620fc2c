"""What a metric of outcomes may say: by what participants or cases are told apart, and what counts.

Owns those rules of semantics 11.1 and 11.3. How outcomes are counted is in `core.outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.catalog.definitions import MAX_GROUP_NAMES, MAX_TEXT, checked_values
from app.checks import Path, at_most, distinct, text_of
from app.core.outcomes import LatestState, Outcome, Sessions, outcome_to_json, parse_window
from app.core.terms import Aggregation
from app.errors import ErrorCode, InvalidInput

PATHS = {Aggregation.SESSION_COUNT: ("input", "session"), Aggregation.COUNT_LATEST: ("input", "latestState")}


@dataclass(frozen=True, slots=True)
class NewOutcome:
    """An outcome as a caller describes it: `session` has keys and a window, `latest` an entity, a state and what counts."""

    keys: tuple[str, ...] = ()
    window: str | None = None
    entity: str | None = None
    state: str | None = None
    counted: tuple[str, ...] = ()

    @property
    def counts(self) -> Aggregation:
        """Which aggregation it is for."""
        return Aggregation.COUNT_LATEST if self.window is None else Aggregation.SESSION_COUNT


def checked_outcome(aggregation: Aggregation, given: NewOutcome | None) -> Outcome | None:
    """The outcome that an aggregation counts; given for the two that count one, and for no other.

    Errors: REQUIRED, INVALID, `LimitExceeded`.
    """
    if given is None:
        if aggregation.is_outcome:
            path = PATHS[aggregation]
            raise InvalidInput(
                ErrorCode.REQUIRED, f"{aggregation} needs {path[-1]}, which says what counts.", path=path
            )
        return None
    path = PATHS[given.counts]
    if given.counts is not aggregation:
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} belongs to {given.counts}, not to {aggregation}.", path=path)
    return _sessions(given, path) if given.window is not None else _latest(given, path)


def outcome_shown(rule: Outcome | None) -> object:
    """What the audit log says of it."""
    return None if rule is None else outcome_to_json(rule)


def _sessions(given: NewOutcome, path: Path) -> Sessions:
    place = (*path, "key")
    if not given.keys:
        raise InvalidInput(ErrorCode.REQUIRED, "Name the properties that tell participants apart.", path=place)
    at_most(given.keys, MAX_GROUP_NAMES, path=place)
    keys = distinct([text_of(name, path=place, longest=MAX_TEXT) for name in given.keys], path=place)
    assert given.window is not None, "a session has a window"
    try:
        return Sessions(tuple(keys), parse_window(given.window))
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{given.window[:40]!r}: {error}. A session lasts from PT1M to P31D.",
            path=(*path, "window"),
        ) from error


def _latest(given: NewOutcome, path: Path) -> LatestState:
    entity, state = (
        text_of(name or "", path=(*path, field), longest=MAX_TEXT)
        for name, field in ((given.entity, "entityProperty"), (given.state, "stateProperty"))
    )
    counted = checked_values(given.counted, path=(*path, "countedStates"))
    assert counted is not None, "a list was given"
    return LatestState(entity, state, tuple(counted))
