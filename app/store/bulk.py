"""Adds many rows of one table at once, by COPY.

Owns the way around the session: rows of facts that are only ever added need no object that tracks their changes, and
nothing is cheaper than COPY. Values pass the checks of their columns' types, as they do on the way through the session.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import UnionType
from typing import Any

from psycopg import sql
from sqlalchemy import Boolean, Column, Integer, Table, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import AutoString, SQLModel

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
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(described.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    columns = zip(*(row.values() for row in rows), strict=True)
    texts = [_texts(described.c[name], values) for name, values in zip(names, columns, strict=True)]
    connection = await raw_connection(session)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write("".join("\t".join(row) + "\n" for row in zip(*texts, strict=True)))


_NULL = r"\N"


def _texts(column: Column[Any], values: Iterable[Any]) -> list[str]:
    """The values of a column as COPY reads them.

    Most are the very object that stands in the row before, such as nothing, or the date of an invoice: those are not
    written again.
    """
    write = _writer(column)
    found: list[str] = []
    last, text = None, _NULL
    for value in values:
        if value is not last:
            last, text = value, _NULL if value is None else write(value)
        found.append(text)
    return found


def _writer(column: Column[Any]) -> Callable[[Any], str]:
    """How values of a column are checked and written."""
    kind = column.type
    if isinstance(kind, ExactDecimal | UtcDateTime):
        return lambda value: str(kind.process_bind_param(value, _DIALECT))
    write = next((write for kinds, write in _WRITERS if isinstance(kind, kinds)), None)
    assert write is not None, f"values of {kind!r} are not copied"
    return write


def _json(value: Any) -> str:
    if value == {}:
        return "{}"  # Most objects of a line are empty.
    return _escaped(value if isinstance(value, JsonText) else json.dumps(value))


def _escaped(text: str) -> str:
    """A text in which nothing ends its column or row."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r").replace("\t", r"\t")


_WRITERS: Sequence[tuple[type | UnionType, Callable[[Any], str]]] = (
    (Uuid, attrgetter("hex")),
    (AutoString, _escaped),
    (Integer | Boolean, str),
    (JSONB, _json),
)
