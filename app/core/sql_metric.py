"""The query of an SQL metric, as a value: what is computed, without a word of the text that it was written in.

Owns the closed list of operations (semantics 1.4) and their stored form. What they mean is in `sql_values`; a store may
compute them in its own way and must agree. Text is checked and translated by `catalog/sql_parsing.py`, and never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

from app.core.money import canonical, parse_decimal


class SqlType(StrEnum):
    """What an expression gives. Every type has the value NULL too."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    TIME = "TIME"


class Operator(StrEnum):
    """Two operands: arithmetic gives a number, comparison and logic a truth value."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    EQUAL = "="
    NOT_EQUAL = "<>"
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    AND = "AND"
    OR = "OR"


class Function(StrEnum):
    """One or more operands. ROUND, CEIL, FLOOR, LEAST and GREATEST are of numbers; NUMBER and TEXT convert."""

    ROUND = "ROUND"
    CEIL = "CEIL"
    FLOOR = "FLOOR"
    LEAST = "LEAST"
    GREATEST = "GREATEST"
    NUMBER = "NUMBER"
    TEXT = "TEXT"
    NOT = "NOT"
    IS_NULL = "IS_NULL"
    HOUR = "HOUR"
    DAY = "DAY"


class Aggregator(StrEnum):
    """One value of many rows; rows without a value do not count, except for COUNT_ROWS."""

    COUNT_ROWS = "COUNT_ROWS"
    COUNT = "COUNT"
    COUNT_DISTINCT = "COUNT_DISTINCT"
    SUM = "SUM"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    EARLIEST = "EARLIEST"
    LATEST = "LATEST"


@dataclass(frozen=True, slots=True)
class Property:
    """The text of a property of the event."""

    name: str


@dataclass(frozen=True, slots=True)
class EventType:
    """The type of the event."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When the event happened."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the sub-query."""

    name: str


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """A number; None is NULL where a number is expected."""

    value: Decimal | None


@dataclass(frozen=True, slots=True)
class TextLiteral:
    """A text; None is NULL where a text is expected."""

    value: str | None


@dataclass(frozen=True, slots=True)
class TimeLiteral:
    """An instant, as RFC 3339 in UTC."""

    value: str


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation of two."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function of its operands; `places` are those of ROUND."""

    function: Function
    operands: tuple[Expression, ...]
    places: int = 0


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether a value is among others."""

    operand: Expression
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of CASE."""

    condition: Expression
    result: Expression


@dataclass(frozen=True, slots=True)
class Case:
    """The result of the first branch whose condition holds, else `otherwise`."""

    branches: tuple[Branch, ...]
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One value of the rows of a group; COUNT_ROWS has no operand."""

    aggregator: Aggregator
    operand: Expression | None = None


Expression = (
    Property
    | EventType
    | Timestamp
    | Column
    | NumberLiteral
    | TextLiteral
    | TimeLiteral
    | Binary
    | Call
    | OneOf
    | Case
    | Aggregate
)


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the result."""

    name: str
    expression: Expression
    type: SqlType


@dataclass(frozen=True, slots=True)
class Query:
    """A query over events (`source` None) or over a sub-query.

    `group_by` None: one row for each row of the source, or, with aggregates, one row of all. Only outputs without
    aggregate may differ inside a group, and they are among `group_by`.
    """

    outputs: tuple[Output, ...]
    source: Query | None = None
    where: Expression | None = None
    group_by: tuple[Expression, ...] | None = None

    @property
    def quantity(self) -> Output:
        """The column named `value`, else the first."""
        return next((output for output in self.outputs if output.name == "value"), self.outputs[0])

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns by which usage may be split: all others."""
        return tuple(output.name for output in self.outputs if output is not self.quantity)

    @property
    def is_additive(self) -> bool:
        """Whether each event adds its own part whatever came before it, so that hours can be measured alone."""
        quantity, others = self.quantity.expression, [o.expression for o in self.outputs if o is not self.quantity]
        if self.source is not None or any(has_aggregate(expression) for expression in others):
            return False
        if isinstance(quantity, Aggregate):
            return quantity.aggregator in (Aggregator.COUNT_ROWS, Aggregator.COUNT, Aggregator.SUM)
        # A quantity without aggregate, but with GROUP BY, counts each different row once.
        return not has_aggregate(quantity) and self.group_by is None

    @property
    def is_aggregated(self) -> bool:
        """Whether rows are put together."""
        return self.group_by is not None or any(has_aggregate(output.expression) for output in self.outputs)


def has_aggregate(expression: Expression) -> bool:
    """Whether an aggregate is anywhere in it."""
    match expression:
        case Aggregate():
            return True
        case Binary(_, left, right):
            return has_aggregate(left) or has_aggregate(right)
        case Call(_, operands):
            return any(map(has_aggregate, operands))
        case OneOf(operand, options):
            return any(map(has_aggregate, (operand, *options)))
        case Case(branches, otherwise):
            inside = [part for branch in branches for part in (branch.condition, branch.result)]
            return any(map(has_aggregate, (*inside, otherwise)))
        case _:
            return False


_NODES: dict[str, type[Any]] = {
    node.__name__: node
    for node in (
        *(Property, EventType, Timestamp, Column, NumberLiteral, TextLiteral, TimeLiteral),
        *(Binary, Call, OneOf, Branch, Case, Aggregate, Output, Query),
    )
}
_ENUMS = {"operator": Operator, "function": Function, "aggregator": Aggregator, "type": SqlType}


def query_to_json(query: Query) -> dict[str, Any]:
    """The stored form; decimals are canonical text."""
    return cast("dict[str, Any]", _to_json(query))


def query_from_json(form: Mapping[str, Any]) -> Query:
    """The query of a stored form."""
    return cast("Query", _from_json(form))


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, Decimal):
        return canonical(value)
    if type(value).__name__ in _NODES:
        return {"node": type(value).__name__} | {
            item.name: _to_json(getattr(value, item.name)) for item in fields(value)
        }
    return value


def _from_json(form: Any) -> Any:
    if isinstance(form, list):
        return tuple(_from_json(item) for item in cast("list[Any]", form))
    if not isinstance(form, Mapping):
        return form
    named = cast("Mapping[str, Any]", form)
    node = _NODES[named["node"]]
    values: dict[str, Any] = {}
    for name, item in named.items():
        if name in _ENUMS:
            values[name] = _ENUMS[name](item)
        elif node is NumberLiteral and name == "value" and item is not None:
            values[name] = parse_decimal(item)
        elif name != "node":
            values[name] = _from_json(item)
    return node(**values)
