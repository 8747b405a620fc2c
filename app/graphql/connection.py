"""Relay connections with keyset cursors.

Owns the connection types and how slices fill them; the WHERE of a page belongs to `store.paging`, the text of a cursor
to `cursors.py`. Page numbers would break under inserts, and a ledger is nothing but inserts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlalchemy import Select

from app.errors import ErrorCode, InvalidInput
from app.graphql.context import Info
from app.graphql.cursors import read_cursor, write_cursor
from app.store.paging import MAX_PAGE, keyset_page, total_count

T = TypeVar("T")
DEFAULT_PAGE = 25

First = Annotated[int, strawberry.argument(description=f"How many to return, 1 to {MAX_PAGE}.")]
After = Annotated[
    str | None, strawberry.argument(description="Cursor of the last entry seen; the page starts after it.")
]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether entries follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether entries come before this page.")
    start_cursor: str | None = strawberry.field(default=None, description="Cursor of the first entry of the page.")
    end_cursor: str | None = strawberry.field(default=None, description="Cursor of the last entry; pass it as after.")


@strawberry.type(description="An entry of a list with its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Cursor of this entry.")
    node: T = strawberry.field(description="The entry.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The entries with their cursors.")
    nodes: list[T] = strawberry.field(description="The entries alone.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
    count: strawberry.Private[Callable[[], Awaitable[int]] | None] = None

    @strawberry.field(description="How many entries the whole list has; null where counting is not offered.")
    async def total_count(self) -> int | None:
        return None if self.count is None else await self.count()


@dataclass(frozen=True, slots=True)
class Position:
    """The name of an order that is not by columns of the entity alone, and where each row of a page lies in it."""

    order: str
    of: Callable[[list[Any]], Awaitable[list[list[Any]]]]


async def connection(
    info: Info,
    statement: Select[Any],
    *,
    sort: Sequence[Any],
    first: int = DEFAULT_PAGE,
    after: str | None = None,
    descending: bool = False,
    position: Position | None = None,
) -> Connection[Any]:
    """The page of a statement that selects one entity, sorted by columns of it; the last column is unique (its id).

    Other sort values need a `position`.
    """
    first = page_size(first)
    session = info.context.session
    name = ",".join(str(column) for column in sort) if position is None else position.order
    order = name + ("-" if descending else "+")
    seen = None if after is None else read_cursor(after, order=order, size=len(sort))
    page = await keyset_page(session, statement, sort=sort, first=first, after=seen, descending=descending)
    if position is None:
        places = [[getattr(row, column.key) for column in sort] for row in page.rows]
    else:
        places = await position.of(list(page.rows))
    cursors = [write_cursor(place, order=order) for place in places]
    return page_of(page.rows, cursors, page.has_next, after is not None, lambda: total_count(session, statement))


def list_connection(
    items: Sequence[T],
    *,
    key: Callable[[T], str],
    first: int = DEFAULT_PAGE,
    after: str | None = None,
    is_sorted: bool = False,
) -> Connection[T]:
    """A page of a short list that is at hand anyway, such as an invoice's lines; `key` is unique in the list.

    With `is_sorted` keys ascend, and a page goes on behind an entry that has left the list since.
    """
    first = page_size(first)
    start = 0
    if after is not None:
        wanted = read_cursor(after, order="list", size=1)[0]
        if is_sorted:
            start = sum(key(item) <= wanted for item in items)
        else:
            start = next((index + 1 for index, item in enumerate(items) if key(item) == wanted), len(items))
    shown = items[start : start + first]
    cursors = [write_cursor([key(item)], order="list") for item in shown]

    async def count() -> int:
        return len(items)

    return page_of(shown, cursors, start + first < len(items), start > 0, count)


def page_of(
    rows: Sequence[Any], cursors: list[str], has_next: bool, has_previous: bool, count: Callable[[], Awaitable[int]]
) -> Connection[Any]:
    """A page from its parts, for lists that a loader pages."""
    return Connection(
        edges=[Edge(cursor=cursor, node=row) for cursor, row in zip(cursors, rows, strict=True)],
        nodes=list(rows),
        page_info=PageInfo(
            has_next_page=has_next,
            has_previous_page=has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )


def page_size(first: int) -> int:
    """`first` when it is acceptable; InvalidInput otherwise."""
    if not 0 < first <= MAX_PAGE:
        raise InvalidInput(
            ErrorCode.INVALID, f"first is {first}; write a number from 1 to {MAX_PAGE}.", path=("first",)
        )
    return first
