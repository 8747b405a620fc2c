"""Raters: prices that other packages work out, found through the entry-point group `metrograph.raters`.

Owns the way from a rater's name to its functions, and the refusals of prices that name one. What a rater must give is
settled in `core.custom`; `app/catalog/README.md` teaches how to write one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

import structlog

from app.checks import Path, text_of
from app.core.custom import Custom, Rater, RaterFailed, Step, checked_steps
from app.core.rates import Rate, canonical_parameters
from app.core.terms import Overwrite, PriceChange
from app.errors import ErrorCode, InvalidInput, InvalidState

GROUP = "metrograph.raters"
MAX_PARAMETERS = 10_000

log = structlog.get_logger("metrograph.catalog")


class Installed(NamedTuple):
    """A rater: its functions, and the distribution and version that they come from."""

    price: Rater
    check: Callable[[Mapping[str, Any]], None]
    release: str


@cache
def rater_named(name: str) -> Installed | None:
    """The rater of this name, as it was when first asked for; None when there is none that can be loaded."""
    for point in sorted(entry_points(group=GROUP, name=name), key=_release_of):
        try:
            found = point.load()
            return Installed(found.price, found.check, _release_of(point))
        except Exception:
            log.exception("rater not loaded", rater=name, release=_release_of(point))
    return None


def _release_of(point: EntryPoint) -> str:
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def custom_rate(name: str, parameters: object, *, path: Path) -> Custom:
    """A price of a rater, after asking it whether it takes the parameters.

    Errors: RATER_UNKNOWN, INVALID for what is no JSON object of at most 10,000 characters without fractions,
    RATER_REFUSED with the rater's own words, RATER_FAILED when its check breaks.
    """
    text_of(name, path=(*path, "rater"), longest=200)
    found = rater_named(name)
    if found is None:
        offered = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        raise InvalidInput(
            ErrorCode.RATER_UNKNOWN, f"No rater {name[:80]!r} is installed; installed: {offered[:300]}.",
            path=(*path, "rater"),
        )  # fmt: skip
    place = (*path, "parameters")
    if not isinstance(parameters, Mapping) or not _is_plain(parameters):
        raise InvalidInput(
            ErrorCode.INVALID, "parameters are a JSON object; write numbers with a fraction as strings.", path=place
        )
    text = text_of(canonical_parameters(parameters), path=place, longest=MAX_PARAMETERS)
    try:
        found.check(json.loads(text))
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.RATER_REFUSED,
            f"Rater {name[:80]!r} does not take these parameters: {str(error)[:500]}",
            path=place,
        ) from error
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            ErrorCode.RATER_FAILED,
            f"Rater {name[:80]!r} broke on these parameters ({type(error).__name__}).",
            path=place,
        ) from error
    return Custom(name, text)


def _is_plain(value: object) -> bool:
    """JSON without numbers that have a fraction: they would pass through binary floats."""
    match value:
        case Mapping():
            return all(_is_plain(item) for item in value.values())
        case list():
            return all(_is_plain(item) for item in value)
        case _:
            return value is None or isinstance(value, str | int)


def bound(rate: Rate) -> Rate:
    """The rate with its rater passed in; a rate that was frozen keeps the release that it was frozen with.

    A rater that is not there, or fails, is told where something is priced: `InvalidState` RATER_FAILED.
    """
    if not isinstance(rate, Custom):
        return rate
    found = rater_named(rate.rater)
    parameters: Mapping[str, Any] = json.loads(rate.parameters)

    def steps(low: Decimal, high: Decimal) -> Sequence[Step]:
        if found is None:
            raise InvalidState(ErrorCode.RATER_FAILED, f"Rater {rate.rater[:80]!r} is not installed here any more.")
        try:
            return checked_steps(found.price, low, high, parameters)
        except RaterFailed as failed:
            raise InvalidState(ErrorCode.RATER_FAILED, f"Rater {rate.rater[:80]!r} failed: {failed}.") from failed

    return replace(rate, steps=steps, release=rate.release or ("" if found is None else found.release))


def bound_change(change: PriceChange | None) -> PriceChange | None:
    """A change of price, with the rater of an overwrite passed in."""
    return Overwrite(bound(change.rate)) if isinstance(change, Overwrite) else change
