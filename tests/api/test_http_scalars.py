"""What each scalar takes and refuses, as literal and as variable, and how it is written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from app.core.money import canonical
from app.errors import InvalidInput
from app.graphql.cursors import read_cursor, write_cursor
from app.graphql.scalars import JSON, SCALARS, BigInt, CurrencyCode
from app.graphql.values import Money


@strawberry.type
class Query:
    @strawberry.field
    def decimal(self, value: Decimal) -> Decimal:
        return value

    @strawberry.field
    def instant(self, value: datetime) -> datetime:
        return value

    @strawberry.field
    def day(self, value: date) -> date:
        return value

    @strawberry.field
    def currency(self, value: CurrencyCode) -> CurrencyCode:
        return value

    @strawberry.field
    def big(self, value: BigInt) -> BigInt:
        return value

    @strawberry.field
    def json(self, value: JSON) -> JSON:
        return value


class Quiet(strawberry.Schema):
    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Refusals are what is tested."""


ECHO = Quiet(Query, config=StrawberryConfig(scalar_map=SCALARS))
TYPES = {"decimal": "Decimal", "instant": "DateTime", "day": "Date", "currency": "CurrencyCode", "big": "BigInt"}


def by_literal(field: str, literal: str) -> Any:
    result = ECHO.execute_sync(f"{{ {field}(value: {literal}) }}")
    return result.data[field] if result.data else None


def by_variable(field: str, value: Any) -> Any:
    result = ECHO.execute_sync(f"query ($v: {TYPES.get(field, 'JSON')}!) {{ {field}(value: $v) }}", {"v": value})
    return result.data[field] if result.data else None


@pytest.mark.parametrize(
    ("field", "literal", "expected"),
    [
        ("decimal", '"12.50"', "12.5"),
        ("decimal", '"-0"', "0"),
        ("decimal", '"0.000000000000000000000000000000000001"', "0.000000000000000000000000000000000001"),
        ("decimal", '"12345678901234567890.123456789"', "12345678901234567890.123456789"),
        ("decimal", "42", "42"),
        ("decimal", "-12345678901234567890123456789", "-12345678901234567890123456789"),
        ("instant", '"2026-11-01T00:00:00Z"', "2026-11-01T00:00:00Z"),
        ("instant", '"2026-11-01T02:00:00.123456+02:00"', "2026-11-01T00:00:00.123456Z"),
        ("day", '"2024-02-29"', "2024-02-29"),
        ("currency", '"USD"', "USD"),
        ("currency", '"acme-credits.v2"', "acme-credits.v2"),
        ("big", "9223372036854775807", "9223372036854775807"),
        ("big", '"-1"', "-1"),
        ("json", '{a: [1, "x", null, true, {b: "1.5"}]}', {"a": [1, "x", None, True, {"b": "1.5"}]}),
    ],
)
def test_literals_that_are_taken(field: str, literal: str, expected: object) -> None:
    assert by_literal(field, literal) == expected


@pytest.mark.parametrize(
    ("field", "literal"),
    [
        *(("decimal", text) for text in ("1.5", "1e3", "true", "null", "[1]", "{a: 1}", "A", '""', '" 1"', '"1 "')),
        *(
            ("decimal", f'"{text}"')
            for text in ("NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E+999999999", "1_000")
        ),
        *(
            ("decimal", f'"{text}"')
            for text in ("٣", "１", "+1", ".5", "5.", "1,5", "0x1", "--1", "1" * 39, "0." + "1" * 39)
        ),
        ("decimal", "1" * 39),
        *(("instant", f'"{text}"') for text in ("2024-01-01", "2024-01-01T00:00:00", "now", "", "20240101T000000Z")),
        *(
            ("instant", f'"{text}"')
            for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-13-01T00:00:00Z")
        ),
        *(
            ("instant", f'"{text}"')
            for text in ("2024-02-30T00:00:00Z", "1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z")
        ),
        ("instant", "1700000000"),
        *(("day", text) for text in ('"2023-02-29"', '"2024-1-1"', '"20240101"', '"2024-01-01T00:00:00Z"', "20240101")),
        *(("currency", text) for text in ('""', '"U"', '"US D"', '"ÜSD"', '"' + "x" * 40 + '"', "840", "USD")),
        *(("big", text) for text in ("9223372036854775808", '"1.0"', '"1e3"', "1.0", '"٣"', "true")),
        ("json", "1.5"),
        ("json", "[" * 20 + "]" * 20),
    ],
)
def test_literals_that_are_refused(field: str, literal: str) -> None:
    assert by_literal(field, literal) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("decimal", value) for value in (1.5, float("nan"), float("inf"), True, None, [], {}, "NaN", "1e3", 10**40)),
        ("decimal", Decimal("1.5")),
        *(("instant", value) for value in (0, 1.5, True, {}, "2024-01-01T00:00:00")),
        *(("big", value) for value in (1.0, True, 2**63, "x")),
        ("json", [[]] * 3000),
    ],
)
def test_variables_that_are_refused(field: str, value: object) -> None:
    assert by_variable(field, value) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20), max_value=10**20))
def test_decimals_come_back_to_the_last_digit(value: Decimal) -> None:
    assert by_variable("decimal", format(value, "f")) == canonical(value)


@given(st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2199, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_instants_come_back_in_utc(naive: datetime, minutes: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    back = by_variable("instant", instant.isoformat())
    assert back.endswith("Z")
    assert datetime.fromisoformat(back) == instant


@given(st.lists(st.one_of(st.text(), st.integers(), st.uuids(), st.datetimes(timezones=st.just(UTC))), max_size=4))
def test_cursors_come_back_and_fit_one_order_only(values: list[Any]) -> None:
    cursor = write_cursor(values, order="a+")
    if len(cursor) <= 2000:
        assert read_cursor(cursor, order="a+", size=len(values)) == values
        for order, size in (("a-", len(values)), ("a+", len(values) + 1)):
            with pytest.raises(InvalidInput):
                read_cursor(cursor, order=order, size=size)


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        ("1234.5", "USD", "en-US", "$1,234.50"),
        ("1234.5", "EUR", "de-DE", "1.234,50\xa0€"),
        ("1234", "JPY", "ja_JP", "￥1,234"),
        ("1.2345", "KWD", "en-US", "KWD1.235"),
        ("1234.565", "RSD", "en-US", "RSD1,234.57"),
        ("1.2345", "IQD", "en-US", "IQD1.235"),
        ("123456789012345678901234567890.005", "USD", "en-US", "$123,456,789,012,345,678,901,234,567,890.01"),
        ("12345678901234567890.12345678901", "acme", "en-US", "12,345,678,901,234,567,890.12345678901 acme"),
        ("0.000000012345", "acme", "en-US", "0.000000012345 acme"),
        ("12345678901234567890.25", "acme", "en-US", "12,345,678,901,234,567,890.25 acme"),
    ],
)
def test_money_for_people(amount: str, currency: str, locale: str, text: str) -> None:
    money = Money.of(Decimal(amount), currency)
    assert money.formatted(locale) == text


@pytest.mark.parametrize("locale", ["", "xx", "en-US-x-y-z-1", "../etc", "en_", "é" * 30, "\0"])
def test_unknown_locales_are_named(locale: str) -> None:
    with pytest.raises(InvalidInput, match="locale"):
        Money.of(Decimal(1), "USD").formatted(locale)


def test_naive_times_and_floats_never_leave() -> None:
    assert SCALARS[datetime].serialize is not None
    with pytest.raises(TypeError):
        SCALARS[datetime].serialize(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(TypeError):
        SCALARS[Decimal].serialize(1.5)
