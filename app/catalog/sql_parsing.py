"""Reads the text of an SQL metric: every word of it is on a list, or it is refused with its place.

Owns the lists of words and the limits. The parser is a library's; what it makes of the text is translated node by node
by `sql_compiling.py`, and nothing of the text ever reaches a database.
"""

from __future__ import annotations

from sqlglot import errors, exp, parse, tokenize
from sqlglot.tokenizer_core import Token, TokenType

from app.checks import Path, text_of
from app.errors import ErrorCode, InvalidInput, LimitExceeded

DIALECT = "postgres"
PATH: Path = ("input", "sql")
MAX_LENGTH = 10_000
MAX_TOKENS = 1_000
MAX_DEPTH = 60

_T = TokenType
CLAUSES = {_T.SELECT, _T.FROM, _T.WHERE, _T.GROUP_BY, _T.ALIAS, _T.DISTINCT}
PUNCTUATION = {_T.L_PAREN, _T.R_PAREN, _T.COMMA, _T.DOT, _T.STAR, _T.DCOLON}
OPERATORS = {
    *(_T.PLUS, _T.DASH, _T.SLASH, _T.EQ, _T.NEQ, _T.LT, _T.LTE, _T.GT, _T.GTE),
    *(_T.AND, _T.OR, _T.NOT, _T.IS, _T.IN, _T.NULL, _T.CASE, _T.WHEN, _T.THEN, _T.ELSE, _T.END),
}
NAMES = {_T.VAR, _T.IDENTIFIER, _T.TIMESTAMP}
LITERALS = {_T.STRING, _T.NUMBER}
TYPES = {_T.DECIMAL, _T.INT, _T.BIGINT, _T.DOUBLE, _T.FLOAT, _T.TEXT, _T.VARCHAR}
CLAUSES_TOLD = "a query is SELECT … FROM events or a sub-query, with WHERE and GROUP BY if need be"
ALLOWED = CLAUSES | PUNCTUATION | OPERATORS | NAMES | LITERALS | TYPES


def refused(text: str, start: int, what: str) -> InvalidInput:
    """The error for what stands at an offset of the text, with line and column from 1."""
    before = text[:start]
    line, column = before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
    return InvalidInput(ErrorCode.SQL_NOT_ALLOWED, f"Line {line}, column {column}: {what}", path=PATH)


def select_of(text: str) -> exp.Select:
    """The one SELECT that the text is. Errors: SQL_NOT_ALLOWED, `LimitExceeded`, REQUIRED, INVALID."""
    text_of(text, path=PATH, longest=MAX_LENGTH)
    try:
        # One statement may end with a semicolon; a second statement does not follow it.
        text = text.rstrip().removesuffix(";")
        tokens = tokenize(text, read=DIALECT)
        if not tokens:
            raise refused(text, 0, "there is no query; write a SELECT.")
        _check_words(text, tokens)
        statements = parse(text, read=DIALECT)
    except errors.ParseError as error:
        found = error.errors[0] if error.errors else {}
        start = _offset(text, found)
        raise refused(text, start, f"the query cannot be read at {text[start : start + 40]!r}.") from error
    except errors.SqlglotError as error:
        raise refused(text, 0, "a text or name in quotes has no end.") from error
    except RecursionError as error:
        raise _too_deep() from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise refused(text, 0, "a metric is one SELECT.")
    _check_depth(statements[0])
    return statements[0]


def place_of(node: exp.Expr) -> int:
    """The offset at which a node stands: its own, or that of the first part of it which has one."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts, default=0)


def _check_words(text: str, tokens: list[Token]) -> None:
    if len(tokens) > MAX_TOKENS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"The query has {len(tokens)} words; at most {MAX_TOKENS} are accepted.",
            path=PATH,
        )
    before: TokenType | None = None
    for token in tokens:
        # What is called by a reserved word is a name after a dot, and where AS gives the name.
        is_name = before in (_T.DOT, _T.ALIAS) and token.text.replace("_", "a").isalnum()
        if token.token_type not in ALLOWED and not is_name:
            raise refused(text, token.start, f"{token.text[:40]!r} is not allowed here; {CLAUSES_TOLD}.")
        before = token.token_type


def _check_depth(select: exp.Select) -> None:
    pending: list[tuple[exp.Expr, int]] = [(select, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise _too_deep()
        pending.extend((child, depth + 1) for child in node.iter_expressions())


def _too_deep() -> LimitExceeded:
    return LimitExceeded(
        ErrorCode.LIMIT_EXCEEDED, f"The query is nested deeper than {MAX_DEPTH} levels; make it simpler.", path=PATH
    )


def _offset(text: str, found: dict[str, object]) -> int:
    """Where a syntax error stands; the library gives the end of the word."""
    context, shown = str(found.get("start_context") or ""), str(found.get("highlight") or "")
    at = text.find(context + shown) if context or shown else -1
    return max(at, 0) + len(context) if at >= 0 else 0
