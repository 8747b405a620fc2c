"""Pricing units: what a card counts prices in, its own currency or units of the seller such as tokens.

Owns the units, what one is worth on a card, and the rule that a product stays in the unit of its first price there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import PricingUnit, RateCard, RateRow
from app.change import note_change
from app.checks import Path, at_most, name_of
from app.core.currencies import MINOR_DIGITS
from app.core.money import ZERO, canonical
from app.errors import Conflict, ErrorCode, InvalidInput, InvalidState, NotFound
from app.store.ids import to_text
from app.store.unique import once

MAX_CONVERSIONS = 50
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,15}")


async def create_pricing_unit(
    session: AsyncSession, *, code: str, name: str, uniqueness_key: str | None = None, now: datetime
) -> PricingUnit:
    """A unit of the seller's own. Its code is 2 to 16 capital letters, digits and underscores, and no currency's.

    Errors: INVALID; `Conflict` ALIAS_TAKEN when the code is in use, or of the uniqueness key.
    """
    path = ("input", "code")
    if _CODE.fullmatch(code) is None or code in MINOR_DIGITS:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{code[:40]!r} is no code of a pricing unit; write 2 to 16 capital letters, digits and underscores, a "
            "letter first, that are no ISO 4217 currency.",
            path=path,
        )
    unit = PricingUnit(
        created_at=now, code=code, name=name_of(name, path=("input", "name")), uniqueness_key=uniqueness_key
    )
    async with once(session, PricingUnit, uniqueness_key):
        first = (await session.execute(select(PricingUnit).where(PricingUnit.code == code))).scalar_one_or_none()
        if first is not None:
            raise Conflict(ErrorCode.ALIAS_TAKEN, f"The code {code!r} is in use.", path=path, conflicting=first)
        session.add(unit)
        await session.flush()
    note_change(session, "pricing_unit", unit.id, after={"code": code, "name": unit.name})
    return unit


async def archive_pricing_unit(session: AsyncSession, unit_id: UUID, *, now: datetime) -> PricingUnit:
    """No card converts it anew and no new balance is kept in it; everything that uses it goes on.

    Errors: `NotFound`, ARCHIVED.
    """
    unit = await session.get(PricingUnit, unit_id, with_for_update=True, populate_existing=True)
    if unit is None:
        raise NotFound("Pricing unit", to_text("pricing_unit", unit_id), path=("id",))
    if unit.archived_at is not None:
        raise _archived(unit, path=("id",))
    unit.archived_at = now
    await session.flush()
    note_change(session, "pricing_unit", unit.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return unit


async def offered_units(session: AsyncSession, codes: Collection[str], *, path: Path) -> set[str]:
    """Those of the codes that are pricing units. ARCHIVED for one of which nothing new is made."""
    units = await session.scalars(
        select(PricingUnit).where(col(PricingUnit.code).in_(codes)).order_by(col(PricingUnit.code))
    )
    found: set[str] = set()
    for unit in units:
        if unit.archived_at is not None:
            raise _archived(unit, path=path)
        found.add(unit.code)
    return found


def _archived(unit: PricingUnit, *, path: Path) -> InvalidState:
    return InvalidState(
        ErrorCode.ARCHIVED, f"Pricing unit {unit.code} is archived; use another one.", path=path, conflicting=unit
    )


async def checked_conversions(
    session: AsyncSession, conversions: Mapping[str, Decimal], *, path: Path
) -> dict[str, str]:
    """What one of each unit is worth in the card's currency, as it is stored: units on offer, worth more than 0."""
    at_most(conversions, MAX_CONVERSIONS, path=path)
    unknown = sorted(set(conversions) - await offered_units(session, set(conversions), path=path))
    if unknown:
        raise InvalidInput(ErrorCode.INVALID, f"{unknown[0][:40]!r} is no pricing unit.", path=path)
    for code, worth in conversions.items():
        if worth <= ZERO:
            raise InvalidInput(ErrorCode.INVALID, f"One {code} is worth {worth}; write more than 0.", path=path)
    return {code: canonical(worth) for code, worth in sorted(conversions.items())}


def conversions_of(card: RateCard) -> tuple[tuple[str, Decimal], ...]:
    """What one of each unit is worth, by code, as the core reads it."""
    return tuple((code, Decimal(worth)) for code, worth in sorted(card.conversions.items()))


async def units_in_use(session: AsyncSession, card: RateCard, product_ids: Collection[UUID]) -> dict[UUID, str | None]:
    """The unit in which each product is priced on a card already; None is the card's currency."""
    rows = await session.execute(
        select(RateRow.product_id, RateRow.unit).where(
            RateRow.rate_card_id == card.id, col(RateRow.product_id).in_(product_ids)
        )
    )
    return {row.product_id: row.unit for row in rows}


def check_unit(card: RateCard, unit: str | None, *, path: Path) -> None:
    """A unit for which the card says what it is worth, or its currency."""
    if unit is not None and unit not in card.conversions:
        known = ", ".join(sorted(card.conversions)) or "none"
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The card does not say what one {unit[:40]!r} is worth; it has conversions for: {known[:200]}.",
            path=path,
        )


def check_lock(in_use: Mapping[UUID, str | None], product_id: UUID, unit: str | None, *, path: Path) -> None:
    """A product stays in the unit of its first price on a card (semantics 3.2)."""
    if product_id in in_use and in_use[product_id] != unit:
        raise InvalidInput(
            ErrorCode.UNIT_LOCKED,
            f"The product is priced in {in_use[product_id] or 'the currency of the card'} here, and stays in it.",
            path=path,
        )
