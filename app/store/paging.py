"""Keyset pages: a page starts after a row's sort values, so inserts never shift it.

Owns the WHERE and ORDER BY of a page. How the values of the last row become an opaque cursor is left to
`graphql/connection.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order; `has_next` tells whether more follow."""

    rows: Sequence[Any]
    has_next: bool


async def keyset_page(
    session: AsyncSession,
    statement: Select[Any],
    *,
    sort: Sequence[Any],
    first: int,
    after: Sequence[Any] | None = None,
    descending: bool = False,
) -> Page:
    """The next `first` rows of a statement that selects one entity.

    `sort`: columns in order, the last one unique (an id), all in one direction; `after`: their values in the last row
    that was seen.
    """
    assert 0 < first <= MAX_PAGE, first
    if after is not None:
        key, bound = (
            tuple_(*sort),
            tuple_(*(literal(value, column.type) for value, column in zip(after, sort, strict=True))),
        )
        statement = statement.where(key < bound if descending else key > bound)
    order = [column.desc() if descending else column.asc() for column in sort]
    found = (await session.execute(statement.order_by(*order).limit(first + 1))).scalars().all()
    return Page(found[:first], len(found) > first)


async def total_count(session: AsyncSession, statement: Select[Any]) -> int:
    """How many rows a statement selects in all."""
    return (await session.execute(select(func.count()).select_from(statement.order_by(None).subquery()))).scalar_one()
