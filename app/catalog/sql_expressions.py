"""Expressions of an SQL metric: from the parser's nodes to ours, with types.

Owns the list of functions and operators of semantics 1.4. A text becomes a number where a number is needed, as anywhere
in metering; every other mixture of types is refused here, so that nothing can fail when usage is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlglot import exp

from app.catalog.sql_parsing import place_of, refused
from app.clock import parse_instant
from app.core.money import parse_decimal
from app.core.sql_metric import (
    Aggregate,
    Aggregator,
    Binary,
    Branch,
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
    SqlType,
    TextLiteral,
    TimeLiteral,
    Timestamp,
)

MAX_PLACES = 12
EVENTS: Mapping[str, SqlType] = {"event_type": SqlType.TEXT, "timestamp": SqlType.TIME}
OPERATORS: dict[type[exp.Expr], Operator] = {
    exp.Add: Operator.ADD, exp.Sub: Operator.SUBTRACT, exp.Mul: Operator.MULTIPLY, exp.Div: Operator.DIVIDE,
    exp.EQ: Operator.EQUAL, exp.NEQ: Operator.NOT_EQUAL, exp.LT: Operator.LESS, exp.LTE: Operator.AT_MOST,
    exp.GT: Operator.GREATER, exp.GTE: Operator.AT_LEAST, exp.And: Operator.AND, exp.Or: Operator.OR,
}  # fmt: skip
ARITHMETIC = (Operator.ADD, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE)
AGGREGATES: dict[type[exp.Expr], Aggregator] = {
    exp.Sum: Aggregator.SUM, exp.Avg: Aggregator.AVG, exp.Min: Aggregator.MIN, exp.Max: Aggregator.MAX,
    exp.Count: Aggregator.COUNT,
}  # fmt: skip
BY_TIME = {"EARLIEST": Aggregator.EARLIEST, "LATEST": Aggregator.LATEST}
CASTS = {
    **dict.fromkeys(("TEXT", "VARCHAR"), SqlType.TEXT),
    **dict.fromkeys(("DECIMAL", "DOUBLE", "FLOAT", "INT", "BIGINT"), SqlType.NUMBER),
}
FUNCTIONS = "COUNT, SUM, MAX, MIN, AVG, EARLIEST, LATEST, COUNT(DISTINCT …), LEAST, GREATEST, ROUND, CEIL, FLOOR, DATE_TRUNC, CAST"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: the text, the source's names and columns, and whether aggregates may stand there."""

    text: str
    names: frozenset[str]
    columns: Mapping[str, SqlType]
    aggregates: bool = False

    def with_aggregates(self) -> Scope:
        """The same place where aggregates may stand."""
        return replace(self, aggregates=True)

    @property
    def is_events(self) -> bool:
        """Whether the source is the table of events."""
        return self.columns is EVENTS


Typed = tuple[Expression | None, SqlType | None]
"""An expression with its type; both are None for NULL, which takes the type that is needed."""


def only(text: str, node: exp.Expr, *names: str) -> None:
    """Refuse parts of a node that are not on its list."""
    for name, part in node.args.items():
        if part and name not in names and not name.startswith("_"):
            first = part[0] if isinstance(part, list) else part
            place = place_of(first) if isinstance(first, exp.Expr) else place_of(node)
            raise refused(text, place, f"{name.strip('_').replace('_', ' ').upper()[:40]} is not allowed here.")


def compiled(scope: Scope, node: exp.Expr) -> Typed:
    """The expression of a node. Errors: SQL_NOT_ALLOWED."""
    if type(node) in OPERATORS:
        return _operation(scope, node)
    if type(node) in AGGREGATES or (isinstance(node, exp.Anonymous) and node.name.upper() in BY_TIME):
        return _aggregate(scope, node)
    found = COMPILERS.get(type(node))
    if found is None:
        name = node.name if isinstance(node, exp.Anonymous) else node.key
        what = f"{name.upper()[:40]} is not on the list; functions are {FUNCTIONS}."
        raise refused(scope.text, place_of(node), what)
    return found(scope, node)


def coerced(scope: Scope, node: exp.Expr, found: Typed, wanted: SqlType) -> Expression:
    """The expression as one of the wanted type, if it can be one."""
    expression, kind = found
    if expression is None:
        return _null(scope, node, wanted)
    if kind is wanted:
        return expression
    try:
        if kind is SqlType.TEXT and wanted is SqlType.NUMBER:
            return _number(expression)
        if isinstance(expression, TextLiteral) and expression.value is not None and wanted is SqlType.TIME:
            return TimeLiteral(parse_instant(expression.value).isoformat().replace("+00:00", "Z"))
    except ValueError as error:
        shown = str(getattr(expression, "value", ""))[:40]
        raise refused(scope.text, place_of(node), f"{shown!r} is not a {wanted.lower()}.") from error
    raise refused(scope.text, place_of(node), f"this is a {str(kind).lower()} where a {wanted.lower()} is needed.")


def settled(scope: Scope, node: exp.Expr, found: Typed) -> tuple[Expression, SqlType]:
    """The expression with its type; a NULL of no type is a text."""
    kind = found[1] or SqlType.TEXT
    return coerced(scope, node, found, kind), kind


def _null(scope: Scope, node: exp.Expr, wanted: SqlType) -> Expression:
    if wanted is SqlType.NUMBER:
        return NumberLiteral(None)
    if wanted is SqlType.TEXT:
        return TextLiteral(None)
    raise refused(scope.text, place_of(node), f"NULL cannot stand where a {wanted.lower()} is needed.")


def _number(expression: Expression) -> Expression:
    if isinstance(expression, TextLiteral):
        return NumberLiteral(None if expression.value is None else parse_decimal(expression.value))
    if isinstance(expression, Aggregate):
        # The first or last number, as a LATEST metric takes it, and not the number of the last text.
        assert expression.operand is not None, "only EARLIEST and LATEST give texts"
        return replace(expression, operand=_number(expression.operand))
    return Call(Function.NUMBER, (expression,))


def _common(*found: Typed) -> SqlType:
    """The type in which values are compared or put together: instants, else numbers if any is one."""
    kinds = {kind for _, kind in found}
    for kind in (SqlType.TIME, SqlType.NUMBER, SqlType.BOOLEAN):
        if kind in kinds:
            return kind
    return SqlType.TEXT


def _operation(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "expression", "typed", "safe")
    operator = OPERATORS[type(node)]
    left, right = compiled(scope, node.this), compiled(scope, node.expression)
    kind = _common(left, right)
    if operator in ARITHMETIC:
        kind = SqlType.NUMBER
    elif operator in (Operator.AND, Operator.OR):
        kind = SqlType.BOOLEAN
    operation = Binary(operator, coerced(scope, node.this, left, kind), coerced(scope, node.expression, right, kind))
    return operation, SqlType.NUMBER if operator in ARITHMETIC else SqlType.BOOLEAN


def _aggregate(scope: Scope, node: exp.Expr) -> Typed:
    if not scope.aggregates:
        raise refused(scope.text, place_of(node), "an aggregate cannot stand here.")
    aggregator = AGGREGATES.get(type(node)) or BY_TIME[node.name.upper()]
    inner = replace(scope, aggregates=False)
    if isinstance(node, exp.Anonymous):
        if not scope.is_events:
            raise refused(scope.text, place_of(node), f"{node.name.upper()} needs the table events.")
        if len(node.expressions) != 1:
            raise refused(scope.text, place_of(node), f"{node.name.upper()} takes one column.")
        operand, kind = settled(inner, node.expressions[0], compiled(inner, node.expressions[0]))
        return Aggregate(aggregator, operand), kind
    only(scope.text, node, "this", "big_int")
    argument = node.this
    if aggregator is Aggregator.COUNT:
        if isinstance(argument, exp.Star):
            return Aggregate(Aggregator.COUNT_ROWS), SqlType.NUMBER
        if isinstance(argument, exp.Distinct):
            only(scope.text, argument, "expressions")
            if len(argument.expressions) != 1:
                raise refused(scope.text, place_of(argument), "COUNT(DISTINCT …) takes one column.")
            aggregator, argument = Aggregator.COUNT_DISTINCT, argument.expressions[0]
        operand, _ = settled(inner, argument, compiled(inner, argument))
        return Aggregate(aggregator, operand), SqlType.NUMBER
    return Aggregate(aggregator, coerced(inner, argument, compiled(inner, argument), SqlType.NUMBER)), SqlType.NUMBER


def _column(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "table")
    if not isinstance(node.this, exp.Identifier):
        raise refused(scope.text, place_of(node), "name the columns.")
    table, name = node.text("table"), node.name
    if table == "properties" and scope.is_events:
        return Property(name), SqlType.TEXT
    if table and table not in scope.names:
        raise refused(scope.text, place_of(node), f"{table[:40]!r} is not what FROM reads.")
    if name not in scope.columns:
        offered = ", ".join(scope.columns) + (", properties.<name>" if scope.is_events else "")
        raise refused(scope.text, place_of(node), f"there is no column {name[:40]!r}; there are {offered[:300]}.")
    if not scope.is_events:
        return Column(name), scope.columns[name]
    return EventType() if name == "event_type" else Timestamp(), scope.columns[name]


def _literal(scope: Scope, node: exp.Expr) -> Typed:
    if node.is_string:
        if "\0" in node.this:
            raise refused(scope.text, place_of(node), "a text holds a NUL character.")
        return TextLiteral(node.this), SqlType.TEXT
    try:
        return NumberLiteral(parse_decimal(node.this)), SqlType.NUMBER
    except ValueError as error:
        raise refused(scope.text, place_of(node), f"{node.this[:40]!r} is not a decimal number.") from error


def _negative(scope: Scope, node: exp.Expr) -> Typed:
    operand = coerced(scope, node.this, compiled(scope, node.this), SqlType.NUMBER)
    return Binary(Operator.SUBTRACT, NumberLiteral(Decimal(0)), operand), SqlType.NUMBER


def _not(scope: Scope, node: exp.Expr) -> Typed:
    operand = coerced(scope, node.this, compiled(scope, node.this), SqlType.BOOLEAN)
    return Call(Function.NOT, (operand,)), SqlType.BOOLEAN


def _is(scope: Scope, node: exp.Expr) -> Typed:
    if not isinstance(node.expression, exp.Null):
        raise refused(scope.text, place_of(node), "IS takes NULL or NOT NULL.")
    operand, _ = settled(scope, node.this, compiled(scope, node.this))
    is_null = Call(Function.IS_NULL, (operand,))
    return Call(Function.NOT, (is_null,)) if node.args.get("negate") else is_null, SqlType.BOOLEAN


def _in(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "expressions")
    nodes = [node.this, *node.expressions]
    found = [compiled(scope, part) for part in nodes]
    kind = _common(*found)
    operand, *options = [coerced(scope, part, typed, kind) for part, typed in zip(nodes, found, strict=True)]
    return OneOf(operand, tuple(options)), SqlType.BOOLEAN


def _case(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "ifs", "default")
    default = node.args.get("default") or exp.Null()
    results = [compiled(scope, branch.args["true"]) for branch in node.args["ifs"]]
    otherwise = compiled(scope, default)
    kind = _common(*results, otherwise)
    branches: list[Branch] = []
    for branch, result in zip(node.args["ifs"], results, strict=True):
        condition = branch.this if node.this is None else exp.EQ(this=node.this, expression=branch.this)
        branches.append(
            Branch(
                coerced(scope, branch.this, compiled(scope, condition), SqlType.BOOLEAN),
                coerced(scope, branch.args["true"], result, kind),
            )
        )
    last = default if node.args.get("default") else node
    return Case(tuple(branches), coerced(scope, last, otherwise, kind)), kind


def _rounded(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "decimals")
    function = {exp.Round: Function.ROUND, exp.Ceil: Function.CEIL, exp.Floor: Function.FLOOR}[type(node)]
    decimals = node.args.get("decimals")
    places = 0
    if decimals is not None:
        written = decimals.this if isinstance(decimals, exp.Literal) else ""
        if function is not Function.ROUND or written not in map(str, range(MAX_PLACES + 1)):
            what = f"only ROUND takes decimal places, as a number from 0 to {MAX_PLACES}."
            raise refused(scope.text, place_of(decimals), what)
        places = int(written)
    operand = coerced(scope, node.this, compiled(scope, node.this), SqlType.NUMBER)
    return Call(function, (operand,), places), SqlType.NUMBER


def _extreme(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "expressions", "ignore_nulls")
    nodes = [node.this, *node.expressions]
    operands = tuple(coerced(scope, part, compiled(scope, part), SqlType.NUMBER) for part in nodes)
    return Call(Function.LEAST if isinstance(node, exp.Least) else Function.GREATEST, operands), SqlType.NUMBER


def _truncated(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "unit")
    unit = node.text("unit").upper()
    if unit not in (Function.HOUR, Function.DAY):
        raise refused(scope.text, place_of(node), "DATE_TRUNC takes 'hour' or 'day'.")
    operand = coerced(scope, node.this, compiled(scope, node.this), SqlType.TIME)
    return Call(Function(unit), (operand,)), SqlType.TIME


def _cast(scope: Scope, node: exp.Expr) -> Typed:
    only(scope.text, node, "this", "to")
    target = node.args["to"]
    written = target.this.name if isinstance(target, exp.DataType) and not target.expressions else ""
    kind = CASTS.get(written)
    if kind is None:
        raise refused(
            scope.text, place_of(node), "CAST makes NUMERIC, DECIMAL, DOUBLE PRECISION, INTEGER, BIGINT or TEXT."
        )
    found = compiled(scope, node.this)
    if kind is SqlType.TEXT:
        operand, own = settled(scope, node.this, found)
        return operand if own is SqlType.TEXT else Call(Function.TEXT, (operand,)), SqlType.TEXT
    number = found[0]
    # A cast of what is no number gives NULL, also where a literal would be refused elsewhere.
    number = (
        Call(Function.NUMBER, (number,))
        if isinstance(number, TextLiteral)
        else coerced(scope, node.this, found, SqlType.NUMBER)
    )
    return Call(Function.ROUND, (number,)) if written in ("INT", "BIGINT") else number, SqlType.NUMBER


COMPILERS: dict[type[exp.Expr], Callable[[Scope, exp.Expr], Typed]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Null: lambda _scope, _node: (None, None),
    exp.Paren: lambda scope, node: compiled(scope, node.this),
    exp.Neg: _negative,
    exp.Not: _not,
    exp.Is: _is,
    exp.In: _in,
    exp.Case: _case,
    exp.Round: _rounded,
    exp.Ceil: _rounded,
    exp.Floor: _rounded,
    exp.Least: _extreme,
    exp.Greatest: _extreme,
    exp.TimestampTrunc: _truncated,
    exp.Cast: _cast,
}
