"""Aliases of rate cards: names that point to one card at a time, by schedule.

Owns that a card which changes takes them; who holds which name when is settled in `alias_schedules.py`. A contract
resolves a name once, as of its own start.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import alias_schedules
from app.catalog.alias_schedules import NewAlias
from app.catalog.reading import changeable
from app.catalog.tables import RateCard, RateCardAlias
from app.change import note_change
from app.checks import Path

__all__ = ["NewAlias", "end_alias", "find_by_alias", "give_alias", "insert_aliases", "resolve_alias"]
CARDS = alias_schedules.AliasKind("rate_card", RateCard, RateCardAlias, "rate_card_id")


async def give_alias(session: AsyncSession, rate_card_id: UUID, alias: NewAlias, *, now: datetime) -> RateCard:
    """Let a name point to a card; whoever holds it at its start loses it at that instant.

    Errors: `NotFound`, ARCHIVED, and those of `alias_schedules.insert`.
    """
    card = await changeable(session, RateCard, rate_card_id)
    before = await alias_schedules.shown(session, CARDS, card)
    await insert_aliases(session, card, [(("alias",), alias)], now=now)
    note_change(session, "rate_card", card.id, before=before, after=await alias_schedules.shown(session, CARDS, card))
    return card


async def end_alias(session: AsyncSession, rate_card_id: UUID, name: str, *, ending_before: datetime) -> RateCard:
    """Take a name from a card from an hour on; what was scheduled after it is dropped.

    Contracts that resolved the name keep their card. Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED.
    """
    card = await changeable(session, RateCard, rate_card_id)
    before = await alias_schedules.shown(session, CARDS, card)
    await alias_schedules.end(session, CARDS, card, name, ending_before=ending_before)
    note_change(session, "rate_card", card.id, before=before, after=await alias_schedules.shown(session, CARDS, card))
    return card


async def insert_aliases(
    session: AsyncSession, card: RateCard, aliases: Sequence[tuple[Path, NewAlias]], *, now: datetime
) -> None:
    """Give names, each with the path of its input, to a card whose row this transaction holds."""
    await alias_schedules.insert(session, CARDS, card, aliases, now=now)


async def resolve_alias(session: AsyncSession, name: str, *, at: datetime, path: Path) -> RateCard:
    """The card to which a name points at an instant. `NotFound` when it points to none."""
    return await alias_schedules.resolve(session, CARDS, name, at=at, path=path)


async def find_by_alias(session: AsyncSession, name: str, *, at: datetime) -> RateCard | None:
    """The card to which a name points at an instant, if any."""
    return await alias_schedules.find(session, CARDS, name, at=at)
