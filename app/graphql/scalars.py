"""The scalars of the API: exact decimals, instants, currency codes, bounded JSON, big integers.

Owns how each is read and written. The library's own scalars go through float, take naive times and NaN; a wrong value
here ends on an invoice, so every grammar is closed and every refusal says what would be accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NewType

import strawberry
from graphql import (
    BooleanValueNode,
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)
from strawberry.types.scalar import ScalarDefinition

from app.clock import parse_instant
from app.core.money import canonical, parse_decimal

CurrencyCode = NewType("CurrencyCode", str)
JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

JSON_DEPTH = 16
JSON_NODES = 2_000
YEARS = range(2000, 2200)
BIG = 2**63 - 1
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{1,31}", re.ASCII)
_DIGITS = re.compile(r"-?\d{1,40}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _decimal_in(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**40:
            raise GraphQLError("Decimal takes at most 38 digits.")
        value = str(value)
    if not isinstance(value, str):
        raise GraphQLError(f'Decimal takes a string such as "12.50" or an Int, not {_shown(value)}.')
    try:
        return parse_decimal(value)
    except ValueError as error:
        raise GraphQLError(f'Decimal takes a string such as "12.50"; {value[:40]!r} is not one.') from error


def _decimal_out(value: object) -> str:
    if isinstance(value, str):  # made by the database in this form already
        return value
    if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} reached a Decimal field")
    return canonical(Decimal(value))


def _instant_in(value: object) -> datetime:
    if not isinstance(value, str):
        raise GraphQLError(f'DateTime takes a string such as "2026-11-01T00:00:00Z", not {_shown(value)}.')
    try:
        instant = parse_instant(value)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(
            f'DateTime takes an RFC 3339 instant with a zone, such as "2026-11-01T00:00:00Z", not {value[:40]!r}.'
        ) from error
    if instant.year not in YEARS:
        raise GraphQLError(f"DateTime takes years from {YEARS.start} to {YEARS.stop - 1}; {value[:40]!r} lies outside.")
    return instant


def _instant_out(value: object) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"{value!r} is not an aware instant")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _date_in(value: object) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value) and int(value[:4]) in YEARS:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise GraphQLError(f'Date takes a calendar day such as "2026-11-01", not {_shown(value)}.')


def _currency_in(value: object) -> CurrencyCode:
    if isinstance(value, str) and _CODE.fullmatch(value):
        return CurrencyCode(value)
    raise GraphQLError(
        f'CurrencyCode takes an ISO 4217 code such as "USD" or a pricing unit\'s code, not {_shown(value)}.'
    )


def _big_in(value: object) -> BigInt:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= BIG:
        return BigInt(value)
    raise GraphQLError(
        f"BigInt takes a whole number of at most 63 bits, as an Int or a string of digits, not {_shown(value)}."
    )


def _json_in(value: object) -> JSON:
    _measure(value, depth=0, budget=[JSON_NODES])
    return JSON(value)


def _measure(value: object, *, depth: int, budget: list[int]) -> None:
    budget[0] -= 1
    if depth > JSON_DEPTH or budget[0] < 0:
        raise GraphQLError(f"JSON takes at most {JSON_DEPTH} levels and {JSON_NODES} values.")
    if isinstance(value, Mapping):
        for entry in value.values():
            _measure(entry, depth=depth + 1, budget=budget)
    elif isinstance(value, list):
        for entry in value:
            _measure(entry, depth=depth + 1, budget=budget)


def _shown(value: object) -> str:
    """A value in a message: short, and without its text when it is long."""
    kind = {bool: "a Boolean", float: "a Float", dict: "an object", list: "a list"}.get(type(value))
    return kind or repr(value)[:44]


def _literal(kind: str, parse: Callable[[object], Any]) -> Callable[..., Any]:
    """Literals are read from their source text: nothing passes through float, no integer is too long to print."""

    def read(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        if isinstance(node, IntValueNode):
            if len(node.value) > 40:
                raise GraphQLError(f"{kind} takes no number of {len(node.value)} digits.", node)
            return parse(int(node.value))
        if isinstance(node, FloatValueNode):
            raise GraphQLError(f'{kind} takes no Float; write the value as a string: "{node.value[:40]}".', node)
        if isinstance(node, StringValueNode):
            return parse(node.value)
        raise GraphQLError(f"{kind} takes a string or an Int here.", node)

    return read


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> JSON:
    return _json_in(_plain(node, variables or {}, depth=0))


def _plain(node: ValueNode, variables: dict[str, Any], *, depth: int) -> Any:
    if depth > JSON_DEPTH:
        raise GraphQLError(f"JSON takes at most {JSON_DEPTH} levels.", node)
    if isinstance(node, ObjectValueNode):
        return {field.name.value: _plain(field.value, variables, depth=depth + 1) for field in node.fields}
    if isinstance(node, ListValueNode):
        return [_plain(entry, variables, depth=depth + 1) for entry in node.values]
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, IntValueNode) and len(node.value) <= 40:
        return int(node.value)
    if isinstance(node, (StringValueNode, BooleanValueNode)):
        return node.value
    if isinstance(node, NullValueNode):
        return None
    # A number with a fraction would become a float; usage properties carry such values as strings.
    raise GraphQLError(
        "JSON literals take strings, whole numbers, Booleans, lists and objects; write fractions as strings.", node
    )


def _scalar(name: str, description: str, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> ScalarDefinition:
    literal = _json_literal if name == "JSON" else _literal(name, read)
    return strawberry.scalar(
        name=name, description=description, serialize=write, parse_value=read, parse_literal=literal
    )


SCALARS: dict[object, ScalarDefinition] = {
    Decimal: _scalar(
        "Decimal",
        "Exact decimal, always sent as a string without trailing zeros. Takes such a string or an Int, never a Float.",
        _decimal_out,
        _decimal_in,
    ),
    datetime: _scalar(
        "DateTime",
        "RFC 3339 instant, always sent in UTC with a Z. Accepts any zone; an instant without a zone is refused.",
        _instant_out,
        _instant_in,
    ),
    date: _scalar("Date", "Calendar day, YYYY-MM-DD.", lambda day: day.isoformat(), _date_in),
    CurrencyCode: _scalar("CurrencyCode", "ISO 4217 code, or the code of a custom pricing unit.", str, _currency_in),
    JSON: _scalar(
        "JSON", f"Any JSON value of at most {JSON_DEPTH} levels and {JSON_NODES} values.", lambda value: value, _json_in
    ),
    BigInt: _scalar("BigInt", "Whole number of at most 63 bits, sent as a string.", str, _big_in),
}
"""Python type -> scalar; `app/schema.py` hands it to the schema, so annotations name the Python types."""
