"""What an override may say of a price per event.

Owns the refusals. Such a price divides a statement's events once, so a part of it cannot have another price by tiers of
the quantity, or while a balance lasts; a multiplier leaves every event where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.per_event import limit_prices
from app.checks import Path
from app.contracts.listed import Listed
from app.contracts.override_rules import NewOverride
from app.core.per_event import PercentagePerEvent
from app.core.terms import Multiplier, PriceChange, Specifier
from app.errors import ErrorCode, InvalidInput


def check_events(entry: NewOverride, change: PriceChange | None, listed: Mapping[UUID, Listed], *, path: Path) -> None:
    """Tiers, and what a balance alone overwrites, reach no price per event. Error: NOT_SUPPORTED."""
    if change is None or isinstance(change, Multiplier):
        return
    if entry.is_commit_specific and isinstance(entry.overwrite, PercentagePerEvent):
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "What draws on a balance has no price per event of its own; overwrite the list price for all usage.",
            path=(*path, "change", "overwrite"),
        )
    if entry.overwrite is not None and not entry.is_commit_specific:
        return
    reached = next((item for item in listed.values() if item.per_event and _reaches(entry, item)), None)
    if reached is not None:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"The list price of {reached.product.name[:80]!r} is one per event; tiers, and an overwrite for what draws on a "
            "balance, do not go with it. Give a multiplier, overwrite the price for all usage, or target other products.",
            path=(*path, "change", "tiered" if entry.overwrite is None else "overwrite"),
        )


def _reaches(entry: NewOverride, item: Listed) -> bool:
    """Whether it may reach usage of a product; pricing and presentation values play no role."""
    tags = set(item.product.tags)
    by_tags = [Specifier(tags=(tag,)) for tag in entry.any_tags]
    targets = [*entry.specifiers, *by_tags] or [Specifier(product_id=entry.product_id)]
    return any(one.product_id in (None, item.product.id) and set(one.tags) <= tags for one in targets)


async def limit_events(session: AsyncSession, contract_id: UUID, entries: Sequence[NewOverride], *, path: Path) -> None:
    """Refuse too many different prices per event. Error: `LimitExceeded`."""
    named = [
        (product_id, entry.overwrite)
        for entry in entries
        if entry.overwrite is not None
        for product_id in (entry.product_id, *(one.product_id for one in entry.specifiers))
        if product_id is not None
    ]
    await limit_prices(session, "overrides", contract_id, named, path=path)
