"""Names that point to one object of a kind at a time, by schedule.

Owns who holds which name when, for every kind that has such names. Whoever resolves a name does it once, as of an
instant, so moving a name leaves everybody where they are (semantics 3.1, 4.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.checks import Path, at_most, hour_of, interval_of, text_of
from app.errors import Conflict, ErrorCode, NotFound
from app.store.ids import to_text
from app.store.locks import lock_named

MAX_ENTRIES = 200
MAX_NAME = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlias:
    """A name to give to an object; without a start it is held since ever, without an end for good."""

    name: str
    starting_at: datetime | None = None
    ending_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class AliasKind:
    """Objects that have names: their rows, the rows of their names, the column of those that names the holder."""

    kind: str
    holder: Any
    entry: Any
    column: str

    @property
    def called(self) -> str:
        """What a name is called in messages."""
        return f"{self.kind.replace('_', ' ').capitalize()} alias"

    def of(self, holder: Any) -> Any:
        """The condition that a name is held by this object."""
        return getattr(self.entry, self.column) == holder.id


async def insert(
    session: AsyncSession, kind: AliasKind, holder: Any, aliases: Sequence[tuple[Path, NewAlias]], *, now: datetime
) -> None:
    """Give names, each with the path of its input, to an object whose row this transaction holds.

    Errors: NOT_HOUR_ALIGNED, INVALID_INTERVAL, `LimitExceeded`, and `Conflict` ALIAS_TAKEN when another one gets the name
    within the interval, or got it at the same instant.
    """
    # Sorted, so that two callers who want the same names wait for each other instead of deadlocking.
    for path, alias in sorted(aliases, key=lambda pair: pair[1].name):
        text_of(alias.name, path=(*path, "name"), longest=MAX_NAME)
        start, end = interval_of(alias.starting_at, alias.ending_before, path=path)
        await _lock(session, kind, alias.name)
        await _make_room(session, kind, holder, alias.name, start, end, path=(*path, "name"))
        made = {kind.column: holder.id, "name": alias.name, "starting_at": start, "ending_before": end}
        session.add(kind.entry(created_at=now, **made))
        await session.flush()
    for path, _ in aliases[:1]:
        at_most(await entries(session, kind, kind.of(holder)), MAX_ENTRIES, path=path)


async def end(session: AsyncSession, kind: AliasKind, holder: Any, name: str, *, ending_before: datetime) -> None:
    """Take a name from an object from an hour on; what was scheduled after it is dropped.

    Errors: NOT_HOUR_ALIGNED, `NotFound` when it does not hold the name then.
    """
    last = hour_of(ending_before, path=("endingBefore",))
    await _lock(session, kind, name)
    held = await entries(session, kind, kind.of(holder), kind.entry.name == name)
    reached = [entry for entry in held if entry.ending_before is None or entry.ending_before > last]
    if not reached:
        raise NotFound(kind.called, name, path=("name",))
    for entry in reached:
        await _cut(session, entry, last)
    await session.flush()


async def resolve(session: AsyncSession, kind: AliasKind, name: str, *, at: datetime, path: Path) -> Any:
    """The object to which a name points at an instant. `NotFound` when it points to none."""
    found = await find(session, kind, name, at=at)
    if found is None:
        raise NotFound(kind.called, name, path=path)
    return found


async def find(session: AsyncSession, kind: AliasKind, name: str, *, at: datetime) -> Any | None:
    """The object to which a name points at an instant, if any."""
    entry = kind.entry
    found = await session.execute(
        select(kind.holder)
        .join(entry, getattr(entry, kind.column) == kind.holder.id)
        .where(
            entry.name == name,
            or_(col(entry.starting_at).is_(None), col(entry.starting_at) <= at),
            or_(col(entry.ending_before).is_(None), col(entry.ending_before) > at),
        )
    )
    return found.scalar_one_or_none()


async def entries(session: AsyncSession, kind: AliasKind, *conditions: bool) -> list[Any]:
    """The names for which all conditions hold, by name."""
    statement = select(kind.entry).where(*conditions).order_by(col(kind.entry.name), col(kind.entry.id))
    return list((await session.execute(statement.execution_options(populate_existing=True))).scalars())


async def shown(session: AsyncSession, kind: AliasKind, holder: Any) -> dict[str, object]:
    """What the audit log keeps of an object's names."""
    found = await entries(session, kind, kind.of(holder))
    return {"aliases": [f"{entry.name} {_text(entry.starting_at)}/{_text(entry.ending_before)}" for entry in found]}


async def _make_room(
    session: AsyncSession, kind: AliasKind, holder: Any, name: str, start: datetime | None, end: datetime | None, *,
    path: Path,
) -> None:  # fmt: skip
    """Close the name where it is held at `start`; refuse when another object gets it before `end`."""
    for entry in await entries(session, kind, kind.entry.name == name):
        is_over = entry.ending_before is not None and start is not None and entry.ending_before <= start
        is_later = end is not None and entry.starting_at is not None and entry.starting_at >= end
        if is_over or is_later:
            continue
        begins_before = start is not None and (entry.starting_at is None or entry.starting_at < start)
        holder_id = getattr(entry, kind.column)
        if not begins_before and holder_id != holder.id:
            other = await session.get_one(kind.holder, holder_id)
            since = "since ever" if entry.starting_at is None else f"from {entry.starting_at:%Y-%m-%dT%H:%MZ} on"
            raise Conflict(
                ErrorCode.ALIAS_TAKEN,
                f"Alias {name!r} points to {to_text(kind.kind, other.id)} ({other.name[:80]}) {since}; "
                "take a later start, or an end up to there.",
                path=path,
                conflicting=other,
            )
        await _cut(session, entry, start)
    await session.flush()


async def _cut(session: AsyncSession, entry: Any, end: datetime | None) -> None:
    """End an entry; one of which nothing is left goes."""
    if end is None or (entry.starting_at is not None and entry.starting_at >= end):
        await session.delete(entry)
    else:
        entry.ending_before = end


def _text(bound: datetime | None) -> str:
    return ".." if bound is None else bound.isoformat()


async def _lock(session: AsyncSession, kind: AliasKind, name: str) -> None:
    """Let changes of one name wait for each other, so that the loser is told who holds it."""
    await lock_named(session, f"{kind.called.lower()} {name}")
