"""SQL metrics: the database evaluates a query exactly as the core does, for hours and for windows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.catalog.sql_compiling import compile_sql
from app.core.filters import takes
from app.core.metering import Event
from app.core.period import Period
from app.core.sql_metric import Query
from app.core.sql_values import hourly_quantities, quantities
from app.core.terms import Group, UsageFilter
from app.core.windows import UsageQuery, UsageWindow, windows
from app.errors import LimitExceeded
from app.store.engine import Store
from app.usage.query_reading import hours_of_query
from app.usage.service import EVENTS
from tests.core.agreements import JANUARY, day
from tests.core.sql_queries import NUMBERS, QUERIES
from tests.usage.test_folding import send

WEEK = Period(day("01-01"), day("01-08"))


def random_events(random: Random, count: int) -> list[Event]:
    return [
        Event(
            random.choice(["acme", "alias"]), random.choice(["call", "chat"]),
            day("01-01") + timedelta(minutes=20 * random.randrange(30), seconds=random.choice([0, 0, 0.5])),
            {"n": random.choice(NUMBERS), "m": random.choice(NUMBERS), "region": random.choice(["eu", "us", "Éire", "z", "", None])},
        )
        for _ in range(count)
    ]  # fmt: skip


async def found_hours(
    store: Store, query: Query, filters: Sequence[UsageFilter] = ()
) -> dict[Group, list[tuple[datetime, Decimal]]]:
    async with store.transaction() as session:
        hours = await hours_of_query(session, query, ["acme", "alias"], WEEK, by=query.keys, filters=filters)
    return {group: [(item.hour, item.quantity) for item in items] for group, items in hours.items()}


def expected_hours(query: Query, events: Sequence[Event]) -> dict[Group, list[tuple[datetime, Decimal]]]:
    hours = hourly_quantities(query, events, by=query.keys)
    return {group: [(item.hour, item.quantity) for item in items] for group, items in hours.items()}


@pytest.mark.parametrize("seed", range(3))
async def test_the_database_evaluates_as_the_core_does(store: Store, seed: int) -> None:
    random = Random(seed)
    events = random_events(random, 60)
    await send(store, events[:25], now=day("01-02"))
    await send(store, events[25:], now=day("01-02"))
    filters = (UsageFilter(day("01-01T03:00:00"), "region", ("eu", "Éire")),)
    for sql in QUERIES:
        query = compile_sql(sql)
        assert await found_hours(store, query) == expected_hours(query, events), sql
        seen = [event for event in events if takes(filters, event)]
        assert await found_hours(store, query, filters) == expected_hours(query, seen), sql
        for size in UsageWindow:
            asked = UsageQuery(Period(day("01-01"), day("01-01T09:00:00")), size, query.keys)
            async with store.transaction() as session:
                values = await EVENTS.query_windows(session, query, asked, references=["acme", "alias"])
            by_window: dict[tuple[datetime, Group], Decimal] = {}
            for part in windows(asked.period, size):
                inside = sorted(
                    (event for event in events if part.contains(event.timestamp)), key=lambda e: e.timestamp
                )
                for group, value in quantities(query, inside, by=query.keys).items():
                    by_window[part.starting_at, group] = value
            assert values == by_window, (sql, size)


# Generated queries: every operation on the same few columns.
numbers = st.recursive(
    st.sampled_from(["properties.n", "properties.m", "2", "0.5", "NULL", "CAST(properties.region AS NUMERIC)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda part: f"({part[0]} {part[1]} {part[2]})"),
        st.tuples(st.sampled_from(["CEIL", "FLOOR", "ROUND"]), inner).map(lambda part: f"{part[0]}({part[1]} + 0)"),
        st.tuples(st.sampled_from(["LEAST", "GREATEST"]), inner, inner).map(
            lambda part: f"{part[0]}({part[1]}, {part[2]})"
        ),
        st.tuples(inner, st.sampled_from(["<", "<=", "=", "<>", ">="]), inner, inner).map(
            lambda part: f"CASE WHEN {part[0]} + 0 {part[1]} {part[2]} THEN {part[3]} END"
        ),
    ),
    max_leaves=5,
)
conditions = st.recursive(
    st.sampled_from(
        ["event_type = 'call'", "properties.region > 'eu'", "properties.n IS NULL", "properties.m > 2",
         "properties.region IN ('us', 'z')", "timestamp < '2025-01-01T05:00:00Z'", "properties.n <= properties.m"]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda part: f"({part[0]} {part[1]} {part[2]})"),
        inner.map(lambda part: f"NOT ({part})"),
    ),
    max_leaves=4,
)  # fmt: skip
aggregates = st.sampled_from(["SUM", "AVG", "MIN", "MAX", "COUNT", "LATEST", "EARLIEST"])
generated = st.one_of(
    st.builds(
        lambda aggregate, number, condition: (
            f"SELECT {aggregate}({number} + 0) AS value, properties.region FROM events WHERE {condition} GROUP BY 2"
        ),
        aggregates, numbers, conditions,
    ),
    st.builds(
        lambda outer, aggregate, number, condition: (
            f"SELECT {outer}(x) AS value FROM (SELECT {aggregate}({number} + 0) AS x, properties.region AS r FROM events "
            f"GROUP BY properties.region) AS t WHERE {condition}"
        ),
        st.sampled_from(["SUM", "AVG", "COUNT", "MAX"]), aggregates, numbers, st.sampled_from(["x > 1", "r IS NOT NULL", "r >= 'eu'"]),
    ),
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(queries=st.lists(generated, min_size=1, max_size=8), seed=st.integers(0, 10**6))
def test_generated_queries(database_url: str, queries: list[str], seed: int) -> None:
    asyncio.run(_compare(database_url, queries, seed))


async def _compare(database_url: str, queries: list[str], seed: int) -> None:
    store = await Store(database_url, max_connections=2).open()
    try:
        async with store.transaction() as session:
            await session.execute(text("truncate events, event_ids"))
        events = random_events(Random(seed), 15)
        await send(store, events, now=day("01-02"))
        for sql in queries:
            query = compile_sql(sql)
            assert await found_hours(store, query) == expected_hours(query, events), sql
    finally:
        await store.close()


async def test_a_query_that_takes_too_long_is_stopped_and_the_transaction_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = random_events(Random(1), 200)
    await send(store, events, now=day("01-02"))
    query = compile_sql("SELECT MAX(x) FROM (SELECT SUM(properties.n) AS x, properties.m FROM events GROUP BY 2) AS t")
    monkeypatch.setattr("app.usage.sql_answers.TIMEOUT_SECONDS", 0.001)
    async with store.transaction() as session:
        with pytest.raises(LimitExceeded):
            await hours_of_query(session, query, ["acme", "alias"], JANUARY, by=(), filters=())
        assert (await session.execute(text("select 1"))).scalar_one() == 1
    monkeypatch.undo()
    monkeypatch.setattr("app.usage.sql_answers.MAX_ROWS", 1)
    async with store.transaction() as session:
        with pytest.raises(LimitExceeded):
            await hours_of_query(session, query, ["acme", "alias"], JANUARY, by=(), filters=())
