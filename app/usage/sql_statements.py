"""From our form of a query to the text of a statement with bound parameters.

Owns the text. Every part of it is written here; names of properties, literals and instants are parameters, and columns
are numbered. Texts are compared by code point, which the collation "C" does.
"""

from __future__ import annotations

from typing import Any

from app.clock import parse_instant
from app.core.sql_metric import (
    Aggregate,
    Aggregator,
    Binary,
    Call,
    Case,
    Column,
    EventType,
    Expression,
    Function,
    NumberLiteral,
    OneOf,
    Operator,
    Property,
    Query,
    TextLiteral,
    TimeLiteral,
    Timestamp,
)

SELECT = "select {columns} from ({source}) source where {where} {keys}"
AGGREGATES = {
    Aggregator.COUNT: "cast(count({0}) as numeric)",
    Aggregator.COUNT_DISTINCT: "cast(count(distinct {0}) as numeric)",
    Aggregator.SUM: "sum({0})",
    Aggregator.AVG: "metric_divide(sum({0}), cast(count({0}) as numeric))",
    Aggregator.MIN: "min({0})",
    Aggregator.MAX: "max({0})",
    Aggregator.EARLIEST: "(array_agg({0} order by occurred_at, batch, place) filter (where {0} is not null))[1]",
    Aggregator.LATEST: "(array_agg({0} order by occurred_at desc, batch desc, place desc) filter (where {0} is not null))[1]",
}
FUNCTIONS = {
    Function.CEIL: "metric_number(ceil({0}))",
    Function.FLOOR: "metric_number(floor({0}))",
    Function.NUMBER: "event_number(to_jsonb({0}))",
    Function.TEXT: '(metric_text({0}) collate "C")',
    Function.NOT: "(not {0})",
    Function.IS_NULL: "({0} is null)",
    Function.HOUR: "date_trunc('hour', {0}, 'UTC')",
    Function.DAY: "date_trunc('day', {0}, 'UTC')",
}


class Statement:
    """A statement in the making: its parameters, one for each different value, so that equal expressions stay equal."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._names: dict[tuple[str, Any], str] = {}

    def select(self, query: Query, events: str) -> str:
        """The text of a query over the events that another text selects; its columns are c0, c1 and so on."""
        columns: dict[str, int] = {}
        source = events
        if query.source is not None:
            source = self.select(query.source, events)
            columns = {output.name: place for place, output in enumerate(query.source.outputs)}
        chosen = ", ".join(
            f"{self._expression(output.expression, columns)} as c{place}" for place, output in enumerate(query.outputs)
        )
        where = "true" if query.where is None else self._expression(query.where, columns)
        keys = ", ".join(self._expression(key, columns) for key in query.group_by or ())
        return SELECT.format(columns=chosen, source=source, where=where, keys=keys and f"group by {keys}")

    def where(self, query: Query) -> str:
        """What the innermost query asks of an event."""
        while query.source is not None:
            query = query.source
        return "true" if query.where is None else self._expression(query.where, {})

    def _expression(self, expression: Expression, columns: dict[str, int]) -> str:
        match expression:
            case Property(name):
                return f'(event_text(properties -> {self._parameter("text", name)}) collate "C")'
            case EventType():
                return '(event_type collate "C")'
            case Timestamp():
                return "occurred_at"
            case Column(name):
                return f"c{columns[name]}"
            case NumberLiteral(value):
                return self._parameter("numeric", value)
            case TextLiteral(value):
                return f'({self._parameter("text", value)} collate "C")'
            case TimeLiteral(value):
                return self._parameter("timestamptz", parse_instant(value))
            case Binary(operator, left, right):
                return self._binary(operator, self._expression(left, columns), self._expression(right, columns))
            case Call():
                return self._call(expression, [self._expression(part, columns) for part in expression.operands])
            case OneOf(operand, options):
                listed = ", ".join(self._expression(option, columns) for option in options)
                return f"({self._expression(operand, columns)} in ({listed}))"
            case Case(branches, otherwise):
                parts = " ".join(
                    f"when {self._expression(branch.condition, columns)} then {self._expression(branch.result, columns)}"
                    for branch in branches
                )
                return f"(case {parts} else {self._expression(otherwise, columns)} end)"
            case Aggregate(aggregator, operand):
                if operand is None:
                    return "cast(count(*) as numeric)"
                return AGGREGATES[aggregator].format(self._expression(operand, columns))

    def _binary(self, operator: Operator, left: str, right: str) -> str:
        match operator:
            case Operator.DIVIDE:
                return f"metric_divide({left}, {right})"
            case Operator.ADD | Operator.SUBTRACT | Operator.MULTIPLY:
                return f"metric_number({left} {operator.value} {right})"
            case _:
                return f"({left} {operator.value} {right})"

    def _call(self, call: Call, operands: list[str]) -> str:
        if call.function is Function.ROUND:
            return f"metric_number(round({operands[0]}, {int(call.places)}))"
        if call.function in (Function.LEAST, Function.GREATEST):
            return f"{call.function.value.lower()}({', '.join(operands)})"
        return FUNCTIONS[call.function].format(operands[0])

    def _parameter(self, kind: str, value: Any) -> str:
        name = self._names.setdefault((kind, value), f"q{len(self._names)}")
        self.values[name] = value
        return f"cast(:{name} as {kind})"
