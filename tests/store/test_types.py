"""Exact numbers and aware instants: kept to the last digit, and everything else refused twice, by Python and the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, NullPool, Table, create_engine, select
from sqlalchemy.exc import StatementError

from app.store.types import ExactDecimal, UtcDateTime

VALUES = Table(
    "values_of_tests",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("amount", ExactDecimal),
    Column("at", UtcDateTime),
)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url), poolclass=NullPool)
    with engine.connect() as opened:
        VALUES.create(opened)
        yield opened
        opened.rollback()
    engine.dispose()


def stored(connection: Connection, **values: Any) -> Any:
    """What comes back of values that were written."""
    connection.execute(VALUES.delete())
    connection.execute(VALUES.insert().values(id=1, **values))
    return connection.execute(select(VALUES)).one()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(digits=st.integers(-(10**38) + 1, 10**38 - 1), places=st.integers(0, 38))
def test_38_digits_come_back_as_they_were(connection: Connection, digits: int, places: int) -> None:
    sign, text = "-" if digits < 0 else "", str(abs(digits)).rjust(places + 1, "0")
    amount = Decimal(f"{sign}{text[: len(text) - places]}.{text[len(text) - places :]}" if places else f"{sign}{text}")
    assert stored(connection, amount=amount).amount == amount


@pytest.mark.parametrize(
    "amount", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), 1.5, 1, True, "1.50"]
)
def test_what_is_no_finite_decimal_is_refused_by_python(connection: Connection, amount: object) -> None:
    with pytest.raises(StatementError, match="is not a finite Decimal"):
        connection.execute(VALUES.insert().values(id=1, amount=amount))


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_and_by_the_database(database_url: str, amount: str) -> None:
    with psycopg.connect(database_url) as raw:
        raw.execute("create temporary table sums (amount exact_numeric)")
        with pytest.raises(psycopg.errors.CheckViolation), raw.transaction():
            raw.execute("insert into sums values (%s::numeric)", [amount])
        with pytest.raises(psycopg.errors.CheckViolation), raw.cursor().copy("copy sums from stdin") as copy:
            copy.write_row([amount])


def test_every_number_column_of_money_and_quantity_is_behind_the_domain(database_url: str) -> None:
    """A bare NUMERIC takes NaN, which sorts above every number; a float loses digits."""
    with psycopg.connect(database_url) as raw:
        bare = raw.execute(
            "select table_name, column_name, data_type from information_schema.columns "
            "where table_schema = 'public' and domain_name is distinct from 'exact_numeric' "
            "and data_type in ('numeric', 'real', 'double precision', 'money') and table_name not like 'procrastinate%'"
        ).fetchall()
    assert bare == []


def test_instants_come_back_in_utc(connection: Connection) -> None:
    berlin = datetime(2026, 11, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    found = stored(connection, at=berlin).at
    assert found == berlin
    assert found.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(connection: Connection) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        stored(connection, at=datetime(2026, 11, 1))  # noqa: DTZ001 - that is the point


def test_nothing_stays_nothing(connection: Connection) -> None:
    assert stored(connection, amount=None, at=None) == (1, None, None)
