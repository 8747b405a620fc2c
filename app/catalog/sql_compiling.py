"""Translates the tree of an SQL metric into our own form, node by node; a node that is not on a list is refused.

Owns the virtual table `events`, the rule of GROUP BY, and sub-queries. Expressions are in `sql_expressions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from app.catalog.sql_expressions import EVENTS, Scope, coerced, compiled, only, settled
from app.catalog.sql_parsing import PATH, place_of, refused, select_of
from app.core.sql_metric import (
    Aggregate,
    Binary,
    Branch,
    Call,
    Case,
    Expression,
    NumberLiteral,
    OneOf,
    Output,
    Query,
    SqlType,
    TextLiteral,
    TimeLiteral,
    has_aggregate,
)
from app.errors import ErrorCode, InvalidInput

MAX_COLUMNS = 20
MAX_SUBQUERIES = 5
MAX_NAME = 200


def compile_sql(text: str) -> Query:
    """The query that the text stands for.

    Errors: SQL_NOT_ALLOWED with line and column, `LimitExceeded` for a query that is too long or nested too deeply.
    """
    return _query(text, select_of(text), depth=0)


def query_alone(text: str, others: Sequence[object]) -> Query:
    """The query of a metric that is defined by nothing else. Errors: INVALID, and those of `compile_sql`."""
    if any(part is not None for part in others):
        raise InvalidInput(ErrorCode.INVALID, "sql says it all and goes with nothing else.", path=PATH)
    return compile_sql(text)


def _query(text: str, select: exp.Select, *, depth: int) -> Query:
    only(text, select, "expressions", "from_", "where", "group")
    if depth > MAX_SUBQUERIES:
        raise refused(text, place_of(select), f"at most {MAX_SUBQUERIES} sub-queries may be nested.")
    if not select.expressions:
        raise refused(text, 0, "a SELECT has no column.")
    source, scope = _source(text, select, depth=depth)
    where = select.args.get("where")
    condition = None
    if where is not None:
        only(text, where, "this")
        condition = coerced(scope, where.this, compiled(scope, where.this), SqlType.BOOLEAN)
    outputs = _outputs(scope, select, is_top=depth == 0)
    query = Query(outputs, source, condition, _group_by(scope, select, outputs))
    if query.is_aggregated:
        for output, node in zip(outputs, select.expressions, strict=True):
            if not _is_same_in_group(output.expression, query.group_by or ()):
                what = f"column {output.name[:40]!r} is neither aggregated nor in GROUP BY."
                raise refused(text, place_of(node), what)
    return query


def _source(text: str, select: exp.Select, *, depth: int) -> tuple[Query | None, Scope]:
    clause = select.args.get("from_")
    if clause is None:
        raise refused(text, 0, "a SELECT has no FROM; read from events.")
    only(text, clause, "this")
    source = clause.this
    alias = source.args.get("alias")
    if alias is not None:
        only(text, alias, "this")
    names = frozenset({alias.name}) if alias is not None else frozenset[str]()
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) and source.name.lower() == "events":
        only(text, source, "this", "alias")
        return None, Scope(text, names | {"events"}, EVENTS)
    if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Select):
        only(text, source, "this", "alias")
        inner = _query(text, source.this, depth=depth + 1)
        return inner, Scope(text, names, {output.name: output.type for output in inner.outputs})
    raise refused(text, place_of(source), "FROM takes the table events or a sub-query, nothing else.")


def _outputs(scope: Scope, select: exp.Select, *, is_top: bool) -> tuple[Output, ...]:
    if len(select.expressions) > MAX_COLUMNS:
        raise refused(scope.text, place_of(select.expressions[MAX_COLUMNS]), f"at most {MAX_COLUMNS} columns.")
    names = [_name(node, place) for place, node in enumerate(select.expressions)]
    quantity = names.index("value") if "value" in names else 0
    outputs: list[Output] = []
    for place, (name, node) in enumerate(zip(names, select.expressions, strict=True)):
        if name in names[:place]:
            raise refused(scope.text, place_of(node), f"two columns are called {name[:40]!r}; use AS.")
        if not name or len(name) > MAX_NAME:
            raise refused(scope.text, place_of(node), f"a column's name has 1 to {MAX_NAME} characters.")
        found = compiled(scope.with_aggregates(), node.this if isinstance(node, exp.Alias) else node)
        if is_top and place == quantity:
            outputs.append(Output(name, coerced(scope, node, found, SqlType.NUMBER), SqlType.NUMBER))
        else:
            expression, kind = settled(scope, node, found)
            outputs.append(Output(name, expression, kind))
    return tuple(outputs)


def _name(node: exp.Expr, place: int) -> str:
    """The column's name: given by AS, or that of the property or column that it is, or its number."""
    if isinstance(node, exp.Alias | exp.Column):
        return node.alias_or_name
    return f"column{place + 1}"


def _group_by(scope: Scope, select: exp.Select, outputs: tuple[Output, ...]) -> tuple[Expression, ...] | None:
    clause = select.args.get("group")
    if clause is None:
        return None
    only(scope.text, clause, "expressions")
    return tuple(_group_key(scope, node, outputs) for node in clause.expressions)


def _group_key(scope: Scope, node: exp.Expr, outputs: tuple[Output, ...]) -> Expression:
    """An expression, the number of a column, or a name that AS gives and the source does not have."""
    key: Expression
    if isinstance(node, exp.Literal) and not node.is_string:
        place = int(node.this) if node.this.isdigit() and len(node.this) < 4 else 0
        if not 1 <= place <= len(outputs):
            raise refused(scope.text, place_of(node), f"there is no column {node.this[:10]}.")
        key = outputs[place - 1].expression
    else:
        named = {output.name: output.expression for output in outputs}
        is_bare = isinstance(node, exp.Column) and not node.args.get("table") and node.name not in scope.columns
        if is_bare and node.name in named:
            key = named[node.name]
        else:
            key, _ = settled(scope, node, compiled(scope, node))
    if has_aggregate(key):
        raise refused(scope.text, place_of(node), "GROUP BY takes no aggregate.")
    return key


def _is_same_in_group(expression: Expression, keys: tuple[Expression, ...]) -> bool:
    """Whether every row of a group gives the same, so that it may stand beside aggregates."""
    if expression in keys or isinstance(expression, Aggregate | NumberLiteral | TextLiteral | TimeLiteral):
        return True
    parts: tuple[Expression, ...] = ()
    match expression:
        case Binary(_, left, right):
            parts = (left, right)
        case Call(_, operands):
            parts = operands
        case OneOf(operand, options):
            parts = (operand, *options)
        case Case(branches, otherwise):
            parts = (*_conditions(branches), otherwise)
        case _:
            return False
    return all(_is_same_in_group(part, keys) for part in parts)


def _conditions(branches: tuple[Branch, ...]) -> tuple[Expression, ...]:
    return tuple(part for branch in branches for part in (branch.condition, branch.result))
