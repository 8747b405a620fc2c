"""Adds many rows of one table at once, by COPY.

Owns the way around the session: rows of facts that are only ever added need no object that tracks their changes, and
nothing is cheaper than COPY. Values pass the checks of their columns' types, as they do on the way through the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from app.store.engine import raw_connection
from app.store.types import ExactDecimal, UtcDateTime

_DIALECT = postgresql.dialect()


class JsonText(str):
    """A JSON value that is written already, for a column of JSON."""

    __slots__ = ()


async def insert_rows(session: AsyncSession, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows in the session's transaction: the value of each column by name, all with the same names in one order.

    What the session has not written yet is written before, since rows may name each other.
    """
    if not rows:
        return
    await session.flush()
    names = list(rows[0])
    described: Table = table.__table__  # type: ignore[attr-defined]
    converters = [_converter(described.c[name]) for name in names]
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(described.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    connection = await raw_connection(session)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            values = zip(converters, row.values(), strict=True)
            await copy.write_row([value if convert is None else convert(value) for convert, value in values])


def _converter(column: Column[Any]) -> Callable[[Any], Any] | None:
    """How values of a column are checked or written, where they do not go as they are."""
    kind = column.type
    if isinstance(kind, ExactDecimal | UtcDateTime):
        return lambda value: kind.process_bind_param(value, _DIALECT)
    if isinstance(kind, JSONB):
        return _json
    return None


def _json(value: Any) -> Jsonb | str | None:
    if isinstance(value, JsonText):
        return str(value)
    if value == {}:
        return "{}"  # Most objects of a line are empty.
    return None if value is None else Jsonb(value)
