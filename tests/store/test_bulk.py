"""Rows that go in by COPY say what rows that go in by INSERT say, whatever stands in them; what has no place is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text, Uuid, insert, select
from sqlalchemy import cast as cast_to_text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import AutoString

from app.core.terms import Aggregation
from app.store.bulk import JsonText, insert_rows
from app.store.engine import Store
from app.store.types import ExactDecimal, UtcDateTime

VALUES = Table(
    "rows_of_tests",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("key", Uuid),
    Column("name", AutoString),
    Column("is_it", Boolean),
    Column("counted", BigInteger),
    Column("amount", ExactDecimal),
    Column("at", UtcDateTime),
    Column("said", JSONB(none_as_null=True)),
)
TABLE = cast("Any", SimpleNamespace(__table__=VALUES))
NAMES = ["", "a", r"\N", r"\.", "\\", "a\tb", "a\nb", "a\r\nb", "\\t", "日本 ü\u2028", "'\"{}", " a ", "NULL"]
AMOUNTS = ["0", "-0.00", "12.50", "1E+3", "0E-12", "99999999999999999999.123456789012"]
INSTANTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 12, 30, 1, 999999, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
]
SAID = [{}, [], {"a\tb": '\\ \n " é'}, [1, None, True, "1.50"]]


async def kept(store: Store, values: list[dict[str, Any]], *, is_copied: bool) -> list[tuple[Any, ...]]:
    """How rows read that were written in one of both ways, with the texts of numbers."""
    rows = [dict.fromkeys(VALUES.c.keys()) | {"id": number} | row for number, row in enumerate(values)]
    async with store.transaction() as session:
        await (await session.connection()).run_sync(VALUES.create)
        if is_copied:
            await insert_rows(session, TABLE, rows)
        else:
            for row in rows:
                await session.execute(insert(VALUES).values(row))
        query = select(*VALUES.c, cast_to_text(VALUES.c.amount, Text)).order_by(VALUES.c.id)
        found = [tuple(row) for row in await session.execute(query)]
        await session.rollback()
    return found


async def test_what_is_copied_reads_like_what_is_inserted(store: Store) -> None:
    columns = {
        "key": [UUID(int=number << 100) for number in range(3)],
        "name": [*NAMES, Aggregation.SUM],
        "is_it": [True, False],
        "counted": [0, -1, 2**40],
        "amount": [Decimal(text) for text in AMOUNTS],
        "at": INSTANTS,
        "said": SAID,
    }
    values = [{name: value, "counted": 7} for name, found in columns.items() for value in found for _ in range(2)]
    copied = await kept(store, [{}, *values, {}], is_copied=True)
    assert copied == await kept(store, [{}, *values, {}], is_copied=False)
    assert [row[2] for row in copied if row[2] is not None][::2] == columns["name"]


async def test_written_json_is_copied_as_it_is(store: Store) -> None:
    [row] = await kept(store, [{"said": JsonText(json.dumps(SAID))}], is_copied=True)
    assert row[7] == SAID


@pytest.mark.parametrize(
    "row",
    [{"amount": 1.5}, {"amount": Decimal("NaN")}, {"at": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
async def test_what_the_type_of_a_column_refuses_is_not_copied(store: Store, row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"finite Decimal|time zone"):
        await kept(store, [row], is_copied=True)
