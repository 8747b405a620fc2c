"""What services check on the values that callers send: texts, hours, intervals, counts.

Owns the refusals that several slices share, each with its code and what would be accepted. Rules that belong to one
kind of object stay with its service. One place keeps the same mistake under the same code everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from app.core.currencies import MINOR_DIGITS
from app.core.period import is_hour
from app.errors import BillingError, ErrorCode, InvalidInput, LimitExceeded

Path = tuple[str, ...]
MAX_NAME = 200


def name_of(value: str, *, path: Path, longest: int = MAX_NAME) -> str:
    """A name for people, without surrounding blanks: 1 to `longest` printable characters."""
    name = text_of(value.strip(), path=path, longest=longest)
    if not name.isprintable():
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} holds a control character.", path=path)
    return name


def text_of(value: str, *, path: Path, longest: int) -> str:
    """A text that is kept exactly as sent: 1 to `longest` characters that the database can store."""
    if not value:
        raise InvalidInput(ErrorCode.REQUIRED, f"{path[-1]} is empty; write 1 to {longest} characters.", path=path)
    if len(value) > longest:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{path[-1]} has {len(value)} characters ({value[:40]!r}…); at most {longest} are accepted.",
            path=path,
        )
    # PostgreSQL keeps neither NUL nor half of a surrogate pair.
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} holds a character that cannot be stored.", path=path)
    return value


def public_name(name: str) -> str:
    """`starting_at` is `startingAt` to callers, in their requests and in what is kept of them."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def at_most(items: Collection[object], limit: int, *, path: Path) -> None:
    """Refuse more than `limit` items."""
    if len(items) > limit:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"{path[-1]} has {len(items)} entries; at most {limit} are accepted.", path=path
        )


def within(value: int, *, low: int, high: int, path: Path) -> int:
    """A whole number from `low` to `high`, both included."""
    if not low <= value <= high:
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} is {value}; write {low} to {high}.", path=path)
    return value


def distinct(items: Sequence[str], *, path: Path) -> tuple[str, ...]:
    """The texts, none of them twice."""
    for index, item in enumerate(items):
        if item in items[:index]:
            raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} names {item[:60]!r} twice.", path=path)
    return tuple(items)


def hour_of(instant: datetime, *, path: Path) -> datetime:
    """The instant in UTC; everything that changes a price or a right begins and ends on a full hour."""
    found = instant.astimezone(UTC)
    if not is_hour(found):
        raise InvalidInput(
            ErrorCode.NOT_HOUR_ALIGNED, f"{path[-1]} is {found.isoformat()}; write a full hour (UTC).", path=path
        )
    return found


def interval_of(
    starting_at: datetime | None, ending_before: datetime | None, *, path: Path
) -> tuple[datetime | None, datetime | None]:
    """Both ends on full hours, the end after the start; `path` is that of the object which holds the two."""
    start = None if starting_at is None else hour_of(starting_at, path=(*path, "startingAt"))
    end = None if ending_before is None else hour_of(ending_before, path=(*path, "endingBefore"))
    if start is not None and end is not None and end <= start:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"endingBefore {end.isoformat()} must lie after startingAt {start.isoformat()}.",
            path=(*path, "endingBefore"),
        )
    return start, end


def currency_of(code: str, *, path: Path) -> str:
    """An ISO 4217 code."""
    if code not in MINOR_DIGITS:
        raise InvalidInput(
            ErrorCode.INVALID, f"{code[:40]!r} is not a currency; write an ISO 4217 code such as USD.", path=path
        )
    return code


@contextmanager
def beneath(path: Path, *, identifier: str = "id") -> Iterator[None]:
    """Let errors of a service that is called for a part of a request lead to that part.

    A service's own paths begin at `input`, or at its argument `id`, which is called `identifier` in the part.
    """
    try:
        yield
    except BillingError as error:
        first, *rest = error.path or ("input",)
        own = () if first == "input" else (identifier if first == "id" else first,)
        error.path = (*path, *own, *rest)
        raise
