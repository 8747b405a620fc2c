"""Rate cards are changed: their name, what they are for, which pricing units they convert.

Owns what may change of a card beside its prices; those are added in `rates.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.reading import changeable
from app.catalog.service import card_shown
from app.catalog.tables import RateCard
from app.catalog.units import MAX_CONVERSIONS, checked_conversions
from app.change import note_change
from app.checks import at_most, name_of, text_of
from app.errors import ErrorCode, InvalidInput


async def update_rate_card(
    session: AsyncSession,
    rate_card_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    conversions: Mapping[str, Decimal] | None = None,
) -> RateCard:
    """Rename a card, describe it, or convert more units; what is None stays. What a unit is worth never changes.

    Errors: `NotFound`, ARCHIVED, REQUIRED when nothing is named, INVALID, `LimitExceeded` above 50 conversions.
    """
    row = await changeable(session, RateCard, rate_card_id)
    if name is None and description is None and not conversions:
        raise InvalidInput(ErrorCode.REQUIRED, "Name what changes.", path=("input",))
    path = ("input", "addConversions")
    more = await checked_conversions(session, conversions or {}, path=path)
    for unit in more:
        if unit in row.conversions:
            raise InvalidInput(
                ErrorCode.INVALID,
                f"One {unit} is worth {row.conversions[unit]} on this card, and stays so; drafts and prices count on it.",
                path=path,
            )
    at_most({**row.conversions, **more}, MAX_CONVERSIONS, path=path)
    before = card_shown(row)
    if name is not None:
        row.name = name_of(name, path=("input", "name"))
    if description is not None:
        row.description = text_of(description, path=("input", "description"), longest=2_000)
    row.conversions = {**row.conversions, **more}
    await session.flush()
    note_change(session, "rate_card", row.id, before=before, after=card_shown(row))
    return row
