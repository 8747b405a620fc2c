"""Aliases of rate cards: names that point to one card at a time, by schedule.

Owns who holds which name when. A contract resolves a name once, as of its own start, so moving a name to a new card
leaves the contracts on the old one where they are (semantics 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.catalog.reading import changeable
from app.catalog.tables import RateCard, RateCardAlias
from app.change import note_change
from app.checks import Path, at_most, hour_of, interval_of, text_of
from app.errors import Conflict, ErrorCode, NotFound
from app.store.ids import to_text
from app.store.locks import lock_named

MAX_ENTRIES = 200
MAX_NAME = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlias:
    """A name to give to a card; without a start it holds since ever, without an end for good."""

    name: str
    starting_at: datetime | None = None
    ending_before: datetime | None = None


async def give_alias(session: AsyncSession, rate_card_id: UUID, alias: NewAlias, *, now: datetime) -> RateCard:
    """Let a name point to a card; whoever holds it at its start loses it at that instant.

    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, INVALID_INTERVAL, `LimitExceeded`, and `Conflict` ALIAS_TAKEN when
    another card gets the name within the interval, or got it at the same instant.
    """
    card = await changeable(session, RateCard, rate_card_id)
    before = await _shown(session, card)
    await insert_aliases(session, card, [(("alias",), alias)], now=now)
    note_change(session, "rate_card", card.id, before=before, after=await _shown(session, card))
    return card


async def end_alias(session: AsyncSession, rate_card_id: UUID, name: str, *, ending_before: datetime) -> RateCard:
    """Take a name from a card from an hour on; what was scheduled after it is dropped.

    Contracts that resolved the name keep their card. Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED.
    """
    card = await changeable(session, RateCard, rate_card_id)
    end = hour_of(ending_before, path=("endingBefore",))
    await _lock(session, name)
    before = await _shown(session, card)
    held = await _entries(session, RateCardAlias.rate_card_id == card.id, RateCardAlias.name == name)
    reached = [entry for entry in held if entry.ending_before is None or entry.ending_before > end]
    if not reached:
        raise NotFound("Rate card alias", name, path=("name",))
    for entry in reached:
        await _cut(session, entry, end)
    await session.flush()
    note_change(session, "rate_card", card.id, before=before, after=await _shown(session, card))
    return card


async def insert_aliases(
    session: AsyncSession, card: RateCard, aliases: Sequence[tuple[Path, NewAlias]], *, now: datetime
) -> None:
    """Give names, each with the path of its input, to a card whose row this transaction holds."""
    # Sorted, so that two callers who want the same names wait for each other instead of deadlocking.
    for path, alias in sorted(aliases, key=lambda pair: pair[1].name):
        text_of(alias.name, path=(*path, "name"), longest=MAX_NAME)
        start, end = interval_of(alias.starting_at, alias.ending_before, path=path)
        await _lock(session, alias.name)
        await _make_room(session, card, alias.name, start, end, path=(*path, "name"))
        session.add(
            RateCardAlias(created_at=now, rate_card_id=card.id, name=alias.name, starting_at=start, ending_before=end)
        )
        await session.flush()
    for path, _ in aliases[:1]:
        at_most(await _entries(session, RateCardAlias.rate_card_id == card.id), MAX_ENTRIES, path=path)


async def resolve_alias(session: AsyncSession, name: str, *, at: datetime, path: Path) -> RateCard:
    """The card to which a name points at an instant. `NotFound` when it points to none."""
    card = await find_by_alias(session, name, at=at)
    if card is None:
        raise NotFound("Rate card alias", name, path=path)
    return card


async def find_by_alias(session: AsyncSession, name: str, *, at: datetime) -> RateCard | None:
    """The card to which a name points at an instant, if any."""
    found = await session.execute(
        select(RateCard)
        .join(RateCardAlias, col(RateCardAlias.rate_card_id) == RateCard.id)
        .where(
            RateCardAlias.name == name,
            or_(col(RateCardAlias.starting_at).is_(None), col(RateCardAlias.starting_at) <= at),
            or_(col(RateCardAlias.ending_before).is_(None), col(RateCardAlias.ending_before) > at),
        )
    )
    return found.scalar_one_or_none()


async def _make_room(
    session: AsyncSession, card: RateCard, name: str, start: datetime | None, end: datetime | None, *, path: Path
) -> None:
    """Close the name where it is held at `start`; refuse when another card gets it before `end`."""
    for entry in await _entries(session, RateCardAlias.name == name):
        is_over = entry.ending_before is not None and start is not None and entry.ending_before <= start
        is_later = end is not None and entry.starting_at is not None and entry.starting_at >= end
        if is_over or is_later:
            continue
        begins_before = start is not None and (entry.starting_at is None or entry.starting_at < start)
        if not begins_before and entry.rate_card_id != card.id:
            holder = await session.get_one(RateCard, entry.rate_card_id)
            since = "since ever" if entry.starting_at is None else f"from {entry.starting_at:%Y-%m-%dT%H:%MZ} on"
            raise Conflict(
                ErrorCode.ALIAS_TAKEN,
                f"Alias {name!r} points to {to_text('rate_card', holder.id)} ({holder.name[:80]}) {since}; "
                "take a later start, or an end up to there.",
                path=path,
                conflicting=holder,
            )
        await _cut(session, entry, start)
    await session.flush()


async def _cut(session: AsyncSession, entry: RateCardAlias, end: datetime | None) -> None:
    """End an entry; one of which nothing is left goes."""
    if end is None or (entry.starting_at is not None and entry.starting_at >= end):
        await session.delete(entry)
    else:
        entry.ending_before = end


async def _entries(session: AsyncSession, *conditions: bool) -> list[RateCardAlias]:
    statement = select(RateCardAlias).where(*conditions).order_by(col(RateCardAlias.name), col(RateCardAlias.id))
    return list((await session.execute(statement.execution_options(populate_existing=True))).scalars())


async def _shown(session: AsyncSession, card: RateCard) -> dict[str, object]:
    """What the audit log keeps of a card's names."""
    entries = await _entries(session, RateCardAlias.rate_card_id == card.id)
    return {"aliases": [f"{entry.name} {_text(entry.starting_at)}/{_text(entry.ending_before)}" for entry in entries]}


def _text(bound: datetime | None) -> str:
    return ".." if bound is None else bound.isoformat()


async def _lock(session: AsyncSession, name: str) -> None:
    """Let changes of one name wait for each other, so that the loser is told who holds it."""
    await lock_named(session, f"rate card alias {name}")
