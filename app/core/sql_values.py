"""What the query of an SQL metric means: from events to quantities.

Owns the reference evaluation. Values are texts, exact numbers, truth values and instants; NULL is none of them and
spreads as in SQL. Numbers are read from texts as everywhere (`money.parse_decimal`), what cannot be read is NULL. A
quotient is rounded half up at 12 places, that by zero is NULL. Other results keep at most 38 places, rounded half up;
one of 10^38 or more is NULL. Texts are compared by code point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any, cast

from app.core.metering import Event, HourQuantity, HoursByGroup, group_of
from app.core.money import MAX_DIGITS, ONE, ZERO, canonical, divide, exact, floor_to, parse_decimal, round_half_up
from app.core.period import HOUR, Period, floor_hour
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
from app.core.terms import Group

Value = Decimal | str | bool | datetime | None
Row = Event | Mapping[str, Value]

LARGEST = ONE.scaleb(MAX_DIGITS)
COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: eq,
    Operator.NOT_EQUAL: ne,
    Operator.LESS: lt,
    Operator.AT_MOST: le,
    Operator.GREATER: gt,
    Operator.AT_LEAST: ge,
}


def hourly_quantities(query: Query, events: Iterable[Event], *, by: Sequence[str] = ()) -> HoursByGroup:
    """What each hour adds: the query over all events up to the hour's end, differenced (semantics 1.4).

    Give the events of one statement period, in the order of their ingest; `by` names columns of the result.
    """
    ordered = sorted(events, key=lambda event: event.timestamp)
    hours = sorted({floor_hour(event.timestamp) for event in ordered})
    steps = [
        (hour, quantities(query, [event for event in ordered if event.timestamp < hour + HOUR], by=by))
        for hour in hours
    ]
    return differenced(steps)


def final_quantities(query: Query, events: Iterable[Event], period: Period, *, by: Sequence[str] = ()) -> HoursByGroup:
    """The quantity of the period, whole, in its last hour: the granularity SERVICE_PERIOD."""
    assert period.ending_before is not None, "a statement has an end"
    ordered = sorted(events, key=lambda event: event.timestamp)
    return differenced([(period.ending_before - HOUR, quantities(query, ordered, by=by))])


def differenced(steps: Iterable[tuple[datetime, Mapping[Group, Decimal]]]) -> HoursByGroup:
    """The hours of each group from what the query comes to at the end of some; a group that vanishes goes back to 0."""
    reached: dict[Group, Decimal] = {}
    found: dict[Group, list[HourQuantity]] = {}
    for hour, values in steps:
        for group in [*values, *(group for group in reached if group not in values)]:
            with exact():
                increment = values.get(group, ZERO) - reached.get(group, ZERO)
            if increment:
                found.setdefault(group, []).append(HourQuantity(hour, increment))
        reached = dict(values)
    return found


def summed(steps: Iterable[tuple[datetime, Mapping[Group, Decimal]]]) -> HoursByGroup:
    """The hours of each group from what each hour comes to by itself, for an additive query."""
    found: dict[Group, list[HourQuantity]] = {}
    for hour, values in steps:
        for group, value in values.items():
            if value:
                found.setdefault(group, []).append(HourQuantity(hour, value))
    return found


def quantities(query: Query, events: Sequence[Event], *, by: Sequence[str] = ()) -> dict[Group, Decimal]:
    """The sum of the quantity for each combination of the columns `by`; without events there is none.

    Give the events by time, and those of one instant in the order of their ingest. Rows without a quantity add nothing.
    """
    found: dict[Group, Decimal] = {}
    names = sorted(set(by))
    for row in rows(query, events) if events else ():
        group = tuple((name, text_of(row[name])) for name in names)
        value = row[query.quantity.name]
        with exact():
            found[group] = found.get(group, ZERO) + (cast("Decimal", value) if value is not None else ZERO)
    return found


def rows(query: Query, events: Sequence[Event]) -> list[dict[str, Value]]:
    """The rows of the result, in no stated order."""
    source: Sequence[Row] = events if query.source is None else rows(query.source, events)
    kept = [row for row in source if query.where is None or _value(query.where, [row]) is True]
    groups: Iterable[Sequence[Row]]
    if query.group_by is not None:
        by_key: dict[tuple[Value, ...], list[Row]] = {}
        for row in kept:
            by_key.setdefault(tuple(_value(key, [row]) for key in query.group_by), []).append(row)
        groups = by_key.values()
    else:
        groups = [kept] if query.is_aggregated else [[row] for row in kept]
    return [{output.name: _value(output.expression, group) for output in query.outputs} for group in groups]


def text_of(value: Value) -> str | None:
    """The text of a value: a number's canonical text, an instant in RFC 3339."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return canonical(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return value


def number_of(text: str) -> Decimal | None:
    """The number that a text stands for, or NULL."""
    try:
        return parse_decimal(text)
    except ValueError:
        return None


def settled(value: Decimal) -> Decimal | None:
    """A computed number in the form that is kept: at most 38 places; NULL from 10^38 on."""
    # copy_abs, since abs() would round to the digits of the current context.
    rounded = round_half_up(value, places=MAX_DIGITS) if value.copy_abs() < LARGEST else value
    return rounded if rounded.copy_abs() < LARGEST else None


def _value(expression: Expression, rows: Sequence[Row]) -> Value:
    """The value over the rows of a group; all but aggregates read its first one, as they are the same in all."""
    match expression:
        case Property(name):
            return dict(group_of([name], cast("Event", rows[0])))[name]
        case EventType():
            return cast("Event", rows[0]).event_type
        case Timestamp():
            return cast("Event", rows[0]).timestamp
        case Column(name):
            return cast("Mapping[str, Value]", rows[0])[name]
        case NumberLiteral(value) | TextLiteral(value):
            return value
        case TimeLiteral(value):
            return datetime.fromisoformat(value).astimezone(UTC)
        case Binary():
            return _binary(expression.operator, _value(expression.left, rows), _value(expression.right, rows))
        case Call():
            return _call(expression, [_value(operand, rows) for operand in expression.operands])
        case OneOf(operand, options):
            value = _value(operand, rows)
            found: Value = False
            for option in options:
                found = _binary(Operator.OR, found, _binary(Operator.EQUAL, value, _value(option, rows)))
            return found
        case Case(branches, otherwise):
            chosen = (branch.result for branch in branches if _value(branch.condition, rows) is True)
            return _value(next(chosen, otherwise), rows)
        case Aggregate(aggregator, operand):  # pragma: no branch - the type checker proves that no case is missing
            if operand is None:
                return Decimal(len(rows))
            values = [value for row in rows if (value := _value(operand, [row])) is not None]
            return _aggregate(aggregator, values)


def _binary(operator: Operator, left: Value, right: Value) -> Value:
    if operator in (Operator.AND, Operator.OR):
        # One that decides alone decides, whatever the other is.
        decisive = operator is Operator.OR
        if left is decisive or right is decisive:
            return decisive
        return None if left is None or right is None else not decisive
    if left is None or right is None:
        return None
    if operator in COMPARISONS:
        return COMPARISONS[operator](left, right)
    one, other = cast("Decimal", left), cast("Decimal", right)
    if operator is Operator.DIVIDE:
        return settled(divide(one, other)) if other else None
    with exact():
        match operator:
            case Operator.ADD:
                result = one + other
            case Operator.SUBTRACT:
                result = one - other
            case _:
                result = one * other
    return settled(result)


def _call(call: Call, values: list[Value]) -> Value:
    if call.function in (Function.LEAST, Function.GREATEST):
        numbers = [cast("Decimal", value) for value in values if value is not None]
        choose = min if call.function is Function.LEAST else max
        return choose(numbers, default=None)
    [value] = values
    if call.function is Function.IS_NULL:
        return value is None
    if value is None:
        return None
    match call.function:
        case Function.ROUND:
            return settled(round_half_up(cast("Decimal", value), places=call.places))
        case Function.CEIL:
            return settled(floor_to(cast("Decimal", value).copy_negate(), places=0).copy_negate())
        case Function.FLOOR:
            return settled(floor_to(cast("Decimal", value), places=0))
        case Function.NUMBER:
            return number_of(cast("str", value))
        case Function.TEXT:
            return text_of(value)
        case Function.NOT:
            return not value
        case Function.HOUR:
            return floor_hour(cast("datetime", value))
        case _:
            return floor_hour(cast("datetime", value)).replace(hour=0)


def _aggregate(aggregator: Aggregator, values: Sequence[Value]) -> Value:
    if aggregator is Aggregator.COUNT:
        return Decimal(len(values))
    if aggregator is Aggregator.COUNT_DISTINCT:
        return Decimal(len(set(values)))
    if not values:
        return None
    if aggregator in (Aggregator.EARLIEST, Aggregator.LATEST):
        return values[0 if aggregator is Aggregator.EARLIEST else -1]
    numbers = cast("Sequence[Decimal]", values)
    if aggregator in (Aggregator.MIN, Aggregator.MAX):
        return min(numbers) if aggregator is Aggregator.MIN else max(numbers)
    with exact():
        total = sum(numbers, ZERO)
    return settled(divide(total, Decimal(len(numbers)))) if aggregator is Aggregator.AVG else total
