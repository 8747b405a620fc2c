"""Runs the generated statement of an SQL metric: one for all hours or windows, bounded in time and rows.

Owns the way from our form of a query to a statement; every name and value in it is a bound parameter, and no text of a
user is part of it. The meaning is `core.sql_values`, with which this module agrees event for event.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from decimal import Decimal
from typing import Any

from psycopg.errors import QueryCanceled
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters, stretches
from app.core.period import Period
from app.core.sql_metric import Query
from app.core.terms import Group
from app.errors import ErrorCode, LimitExceeded
from app.usage.folding_postgres import parts_of
from app.usage.sql_statements import Statement

MAX_ROWS = 200_000
TIMEOUT_SECONDS = 30

Answer = list[tuple[dt.datetime, dict[Group, Decimal]]]
"""For each hour or window in which something happened, by its start: the quantity of each group."""

SEEN = """
select event_type, occurred_at, properties, batch, place from events
where reference = any(:references) and occurred_at >= spans.low and occurred_at < spans.high and ({parts})
"""
ANSWER = """
with spans as materialized ({spans})
select spans.label, {groups} as groups, sum(coalesce(result.{quantity}, 0)) as quantity
from spans cross join lateral ({query}) result
group by 1, 2 order by 1 limit :limit
"""


def events_seen(statement: Statement, references: Sequence[str], period: Period, filters: Filters = ()) -> str:
    """The condition on time and filters for the events of a period; what is compared becomes a parameter."""
    statement.values["references"] = list(references)
    return " or ".join(parts_of(stretches(filters, period), statement.values))


async def answer(
    session: AsyncSession, query: Query, statement: Statement, *, spans: str, parts: str, by: Sequence[str]
) -> Answer:
    """The quantities over each span, by the columns `by`. Errors: `LimitExceeded` above 30 seconds or 200,000 rows."""
    names = sorted(set(by))
    columns = {output.name: place for place, output in enumerate(query.outputs)}
    groups = ", ".join(f"metric_text(result.c{columns[name]})" for name in names)
    whole = ANSWER.format(
        spans=spans,
        groups=f"cast(array[{groups}] as text[])",
        quantity=f"c{columns[query.quantity.name]}",
        query=statement.select(query, SEEN.format(parts=parts)),
    )
    found = await _bounded(session, whole, statement.values | {"limit": MAX_ROWS + 1})
    if len(found) > MAX_ROWS:
        raise _too_much()
    steps: dict[dt.datetime, dict[Group, Decimal]] = {}
    for label, values, quantity in found:
        steps.setdefault(label.astimezone(dt.UTC), {})[tuple(zip(names, values, strict=True))] = quantity
    return list(steps.items())


async def _bounded(session: AsyncSession, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement that may take a while, and no longer; the transaction goes on when it takes longer."""
    # The fields of a request share a session: without a turn of its own the savepoint of one would hold statements of another.
    alone: Callable[[], AbstractAsyncContextManager[None]] = getattr(session, "alone", nullcontext)
    try:
        async with alone(), session.begin_nested():
            await session.execute(text(f"set local statement_timeout = {int(TIMEOUT_SECONDS * 1000)}"))
            rows = (await session.execute(text(statement), values)).all()
            await session.execute(text("set local statement_timeout to default"))
            return rows
    except exc.DBAPIError as error:
        if isinstance(error.orig, QueryCanceled):
            raise _too_much() from error
        raise


def _too_much() -> LimitExceeded:
    return LimitExceeded(
        ErrorCode.LIMIT_EXCEEDED,
        f"The SQL metric takes more than {TIMEOUT_SECONDS} seconds or {MAX_ROWS} rows to evaluate; make it simpler.",
    )
