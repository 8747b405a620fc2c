"""Queries of SQL metrics: what is on the list is translated, everything else refused with its place."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.sql_compiling import compile_sql
from app.core.sql_metric import query_from_json, query_to_json
from app.errors import BillingError, InvalidInput, LimitExceeded
from tests.core.sql_queries import QUERIES

ANY = "SELECT COUNT(*) FROM events WHERE "


@pytest.mark.parametrize("text", QUERIES)
def test_queries_survive_being_stored(text: str) -> None:
    query = compile_sql(text)
    assert query_from_json(json.loads(json.dumps(query_to_json(query)))) == query


@pytest.mark.parametrize(
    ("text", "quantity", "keys", "additive"),
    [
        ("SELECT SUM(properties.n) FROM events", "column1", (), True),
        ("SELECT properties.region, SUM(properties.n) AS value FROM events GROUP BY 1", "value", ("region",), True),
        ("select count(*) as n, event_type from events group by event_type", "n", ("event_type",), True),
        ("SELECT properties.n, properties.userId FROM events", "n", ("userId",), True),
        ("SELECT properties.n FROM events GROUP BY properties.n", "n", (), False),
        ("SELECT SUM(properties.n) + 1 FROM events", "column1", (), False),
        ("SELECT MAX(properties.n) FROM events", "column1", (), False),
        ("SELECT COUNT(DISTINCT properties.u) FROM events", "column1", (), False),
        ("SELECT SUM(n) FROM (SELECT properties.n AS n FROM events) AS t", "column1", (), False),
        ("SELECT SUM(properties.n) AS value, COUNT(*) AS c FROM events", "value", ("c",), False),
        ('SELECT SUM(properties."Größe in MB") AS "value" FROM events;', "value", (), True),
    ],
)
def test_the_quantity_its_keys_and_whether_hours_can_be_measured_alone(
    text: str, quantity: str, keys: tuple[str, ...], additive: bool
) -> None:
    query = compile_sql(text)
    assert (query.quantity.name, query.keys, query.is_additive) == (quantity, keys, additive)


REFUSED = [
    ("DROP TABLE events", 1, 1, "'DROP'"),
    ("SELECT 1 FROM events; DROP TABLE x", 1, 21, "';'"),
    ("SELECT", 1, 1, "no column"),
    ("SELECT FROM events", 1, 1, "no column"),
    ("SELECT 1", 1, 1, "no FROM"),
    ("-- nothing", 1, 1, "no query"),
    ("SELECT 'abc FROM events", 1, 1, "no end"),
    ("SELECT COUNT( FROM events", 1, 20, "cannot be read"),
    ("SELECT * FROM events", 1, 8, "STAR"),
    ("SELECT pg_sleep(10) FROM events", 1, 8, "PG_SLEEP"),
    ("SELECT COALESCE(properties.n, 1) FROM events", 1, 8, "COALESCE"),
    ("SELECT SUM(properties.n)\n FROM events\n  JOIN users ON 1 = 1", 3, 3, "'JOIN'"),
    ("SELECT COUNT(*) FROM events, events", 1, 30, "JOINS"),
    ("SELECT COUNT(*) FROM pg_user", 1, 22, "the table events"),
    ("SELECT COUNT(*) FROM public.events", 1, 22, "not allowed"),
    ("SELECT COUNT(*) FROM events(1)", 1, 22, "the table events"),
    ("SELECT COUNT(*) FROM events AS e(a, b)", 1, 34, "COLUMNS"),
    ("SELECT COUNT(*) FROM LATERAL (SELECT 1) t", 1, 22, "'LATERAL'"),
    ("WITH a AS (SELECT 1) SELECT COUNT(*) FROM a", 1, 1, "'WITH'"),
    ("SELECT COUNT(*) FROM events ORDER BY 1", 1, 29, "'ORDER BY'"),
    ("SELECT COUNT(*) FROM events LIMIT 1", 1, 29, "'LIMIT'"),
    ("SELECT COUNT(*) FROM events HAVING COUNT(*) > 1", 1, 29, "'HAVING'"),
    ("SELECT COUNT(*) FROM events UNION SELECT 1 FROM events", 1, 29, "'UNION'"),
    ("SELECT COUNT(*) INTO x FROM events", 1, 17, "'INTO'"),
    ("SELECT COUNT(*) FROM events FOR UPDATE", 1, 29, "'FOR'"),
    ("SELECT DISTINCT properties.n FROM events", 1, 1, "DISTINCT"),
    ("SELECT SUM(DISTINCT properties.n) FROM events", 1, 21, "DISTINCT"),
    ("SELECT COUNT(properties.a, properties.b) FROM events", 1, 28, "not allowed"),
    ("SELECT COUNT(DISTINCT properties.a, properties.b) FROM events", 1, 23, "one column"),
    ("SELECT LATEST(properties.a, properties.b) FROM events", 1, 8, "one column"),
    ("SELECT LATEST(x) FROM (SELECT properties.x AS x FROM events) AS t", 1, 8, "needs the table events"),
    ("SELECT SUM(properties.n) OVER () FROM events", 1, 26, "'OVER'"),
    ("SELECT SUM(SUM(properties.n)) FROM events", 1, 12, "aggregate"),
    (f"{ANY}COUNT(*) > 1", 1, 35, "aggregate"),
    ("SELECT COUNT(*) FROM events GROUP BY SUM(properties.n)", 1, 38, "aggregate"),
    ("SELECT COUNT(*) FROM events GROUP BY 1", 1, 38, "aggregate"),
    ("SELECT COUNT(*) FROM events GROUP BY 0", 1, 38, "no column 0"),
    ("SELECT COUNT(*) FROM events GROUP BY ROLLUP(properties.a)", 1, 38, "'ROLLUP'"),
    ("SELECT COUNT(*), properties.a FROM events", 1, 18, "neither aggregated"),
    ("SELECT COUNT(*), CASE WHEN properties.a IN ('x') THEN 1 END AS c FROM events", 1, 28, "neither aggregated"),
    ("SELECT properties.a AS x, properties.b AS x FROM events", 1, 27, "two columns"),
    ('SELECT COUNT(*) AS "" FROM events', 1, 8, "1 to 200"),
    ("SELECT " + ", ".join(f"properties.p{n}" for n in range(21)) + " FROM events", 1, 318, "at most 20"),
    ("SELECT x FROM events", 1, 8, "no column 'x'"),
    ("SELECT users.name FROM events", 1, 8, "'users' is not"),
    ("SELECT properties.a.b FROM events", 1, 8, "not allowed"),
    ("SELECT properties.* FROM events", 1, 8, "name the columns"),
    ("SELECT y FROM (SELECT properties.x AS x FROM events) AS t", 1, 8, "there are x."),
    ("SELECT (SELECT 1 FROM events) FROM events", 1, 16, "SUBQUERY"),
    (f"{ANY}properties.a IN (SELECT properties.b FROM events)", 1, 59, "QUERY"),
    (f"{ANY}properties.a LIKE 'x'", 1, 48, "'LIKE'"),
    (f"{ANY}properties.a BETWEEN 1 AND 2", 1, 48, "'BETWEEN'"),
    (f"{ANY}properties.a IS TRUE", 1, 51, "'TRUE'"),
    (f"{ANY}properties.a IS 1", 1, 35, "NULL or NOT NULL"),
    (f"{ANY}properties.a", 1, 35, "a text where a boolean"),
    (f"{ANY}NOT 1", 1, 39, "a number where a boolean"),
    (f"{ANY}NULL", 1, 1, "NULL cannot stand"),
    (f"{ANY}timestamp > 'yesterday'", 1, 47, "'yesterday' is not a time"),
    (f"{ANY}timestamp > 5", 1, 47, "a number where a time"),
    ("SELECT timestamp FROM events", 1, 8, "a time where a number"),
    ("SELECT 1 + 'abc' FROM events", 1, 12, "'abc' is not a number"),
    ("SELECT 1e400 FROM events", 1, 8, "'1e400' is not a decimal"),
    ("SELECT ROUND(properties.n, 13) FROM events", 1, 28, "0 to 12"),
    ("SELECT ROUND(properties.n, properties.m) FROM events", 1, 28, "0 to 12"),
    ("SELECT CEIL(properties.n, 1) FROM events", 1, 27, "only ROUND"),
    ("SELECT DATE_TRUNC('month', timestamp) AS m, 1 AS value FROM events", 1, 8, "'hour' or 'day'"),
    ("SELECT DATE_TRUNC('day', timestamp, 'CET') AS m, 1 AS value FROM events", 1, 37, "ZONE"),
    ("SELECT CAST(properties.n AS DECIMAL(10, 2)) FROM events", 1, 13, "CAST makes"),
    ("SELECT properties.n::money FROM events", 1, 22, "'money'"),
    ("SELECT properties.n -> 'a' FROM events", 1, 21, "'->'"),
    ("SELECT COUNT(*) FROM " + "(SELECT properties.n FROM " * 6 + "events" + ") t" * 6, 1, 0, "sub-queries"),
]


@pytest.mark.parametrize(("text", "line", "column", "told"), REFUSED)
def test_everything_else_is_refused_with_its_place(text: str, line: int, column: int, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        compile_sql(text)
    assert refused.value.code == "SQL_NOT_ALLOWED"
    assert refused.value.path == ("input", "sql")
    assert told in refused.value.message, refused.value.message
    if column:
        assert refused.value.message.startswith(f"Line {line}, column {column}: "), refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 3_000 + "1" + ")" * 3_000 + " FROM events",
        "SELECT " + "(" * 400 + "1" + ")" * 400 + " FROM events",
        "SELECT " + "+".join("1" * 400) + " FROM events",
        ANY + "NOT " * 900 + "1 = 1",
        "SELECT " + "- " * 900 + "1 FROM events",
        "SELECT " + "CASE WHEN 1 = 1 THEN " * 100 + "1" + " END" * 100 + " FROM events",
    ],
)
def test_what_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        compile_sql(text)
    assert refused.value.path == ("input", "sql")


@pytest.mark.parametrize("text", ["", "SELECT " + "1" * 10_000 + " FROM events", "SELECT '\0' FROM events"])
def test_what_is_no_text_of_acceptable_length_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        compile_sql(text)


WORDS = sorted(
    {word for text, *_ in REFUSED for word in re.findall(r"\w+|[^\w\s]", text[:200])} | {"'a'", '"b"', "1.5"}
)


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_no_text_breaks_the_reader(words: list[str]) -> None:
    for text in (" ".join(words), "SELECT " + " ".join(words) + " FROM events"):
        with suppress(BillingError):
            compile_sql(text)
