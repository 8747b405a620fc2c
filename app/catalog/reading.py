"""Finds metrics, products and rate cards, and refuses those that are used by nothing new.

Owns the way to their rows, which services above this slice share.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.checks import Path
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.ids import to_text

T = TypeVar("T", MetricRow, ProductRow, RateCard)
KINDS: dict[type[object], tuple[str, str]] = {
    MetricRow: ("metric", "Billable metric"),
    ProductRow: ("product", "Product"),
    RateCard: ("rate_card", "Rate card"),
}
"""Row -> its kind of id, and what it is called."""


async def get(session: AsyncSession, row_class: type[T], identifier: UUID, *, path: Path = ("id",)) -> T:
    """A metric, product or rate card; `NotFound` when there is none."""
    row = await session.get(row_class, identifier)
    if row is None:
        kind, called = KINDS[row_class]
        raise NotFound(called, to_text(kind, identifier), path=path)
    return row


def refuse_archived(row: MetricRow | ProductRow | RateCard, *, path: Path) -> None:
    """Raise ARCHIVED for what is used by nothing new."""
    if row.archived_at is not None:
        kind, called = KINDS[type(row)]
        raise InvalidState(
            ErrorCode.ARCHIVED,
            f"{called} {to_text(kind, row.id)} is archived and takes no changes; make another one.",
            path=path,
            conflicting=row,
        )


async def changeable(session: AsyncSession, row_class: type[T], identifier: UUID) -> T:
    """The row as it is now, held to the end of the transaction. `NotFound`, or `InvalidState` ARCHIVED."""
    row = await session.get(row_class, identifier, with_for_update=True, populate_existing=True)
    if row is None:
        kind, called = KINDS[row_class]
        raise NotFound(called, to_text(kind, identifier), path=("id",))
    refuse_archived(row, path=("id",))
    return row
