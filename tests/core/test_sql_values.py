"""SQL metrics: what a query comes to, and how that is spread over the hours."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.sql_compiling import compile_sql
from app.core.metering import Event, HourQuantity
from app.core.money import exact
from app.core.period import HOUR
from app.core.quantities import UsageKey, at_the_end
from app.core.rating import rate_statement
from app.core.sql_metric import Query, query_from_json, query_to_json
from app.core.sql_values import differenced, final_quantities, hourly_quantities, quantities, summed
from app.core.terms import Aggregation, Group, Metric
from app.core.windows import UsageQuery, UsageWindow, chosen
from tests.core.agreements import JANUARY, A, day, entry, flat, terms
from tests.core.sql_queries import QUERIES, events

D = Decimal


def event(moment: str, kind: str = "call", **properties: object) -> Event:
    return Event("acme", kind, day(moment), properties)


SAMPLE = [
    event("01-01T00:10:00", n="5", m="2", region="eu"),
    event("01-01T01:00:00", n=D("2.5"), m="0", region="us"),
    event("01-01T01:30:00", "chat", n="junk", region="eu"),
    event("01-01T01:30:00", n="-3", m="3", region="eu"),
    event("01-01T03:00:00", n="7"),
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT SUM(properties.n) FROM events", "11.5"),
        ("SELECT COUNT(*) FROM events", "5"),
        ("SELECT COUNT(properties.n) FROM events", "5"),
        ("SELECT COUNT(CAST(properties.n AS NUMERIC)) FROM events", "4"),
        ("SELECT COUNT(DISTINCT properties.region) FROM events", "2"),
        ("SELECT MAX(properties.n) FROM events", "7"),
        ("SELECT MIN(properties.n) FROM events", "-3"),
        ("SELECT AVG(properties.n) FROM events", "2.875"),
        # Of two events at one instant the last ingested is the latest; junk is no number.
        ("SELECT LATEST(properties.n) FROM events WHERE timestamp < '2025-01-01T02:00:00Z'", "-3"),
        ("SELECT EARLIEST(properties.n) FROM events WHERE event_type = 'chat' OR properties.region = 'us'", "2.5"),
        ("SELECT SUM(properties.n / properties.m) FROM events", "1.5"),
        ("SELECT 1 / 3 FROM events WHERE event_type = 'chat'", "0.333333333333"),
        ("SELECT 2 / 3 FROM events WHERE event_type = 'chat'", "0.666666666667"),
        ("SELECT -2 / 3 FROM events WHERE event_type = 'chat'", "-0.666666666667"),
        ("SELECT ROUND(2.5) + ROUND(-2.5) * 10 + ROUND(0.125, 2) FROM events WHERE event_type = 'chat'", "-26.87"),
        ("SELECT CEIL(-1.5) * 100 + FLOOR(-1.5) * 10 + CEIL(1.2) FROM events WHERE event_type = 'chat'", "-118"),
        ("SELECT CAST('2.5' AS INTEGER) + CAST('x' AS INTEGER) FROM events", "0"),
        ("SELECT LEAST(3, NULL, 2) * 10 + GREATEST(3, NULL, 2) FROM events WHERE event_type = 'chat'", "23"),
        ("SELECT GREATEST(NULL, NULL) FROM events", "0"),
        ("SELECT COUNT(*) FROM events WHERE properties.region = 'eu' OR properties.n > 6", "4"),
        ("SELECT COUNT(*) FROM events WHERE NOT properties.region = 'eu'", "1"),
        ("SELECT COUNT(*) FROM events WHERE properties.region NOT IN ('eu', NULL)", "0"),
        ("SELECT COUNT(*) FROM events WHERE properties.region IN ('us', NULL)", "1"),
        ("SELECT COUNT(*) FROM events WHERE properties.m IS NULL", "2"),
        ("SELECT COUNT(*) FROM events WHERE properties.m IS NOT NULL AND properties.n <> '5'", "2"),
        # As texts, 5 is above 2.5 and junk above both; as numbers junk is none.
        ("SELECT COUNT(*) FROM events WHERE properties.n >= '5'", "3"),
        ("SELECT COUNT(*) FROM events WHERE properties.n >= 5", "2"),
        ("SELECT COUNT(*) FROM (SELECT DATE_TRUNC('hour', timestamp) AS h FROM events GROUP BY 1) AS t", "3"),
        ("SELECT COUNT(*) FROM (SELECT DATE_TRUNC('day', timestamp) AS h FROM events GROUP BY 1) AS t", "1"),
        ("SELECT COUNT(*) + 5 FROM events WHERE 1 = 2", "5"),
        ("SELECT SUM(properties.n) FROM events WHERE 1 = 2", "0"),
        ("SELECT 99999999999999999999999999999999999999 * 10 FROM events WHERE event_type = 'chat'", "0"),
    ],
)
def test_values(text: str, value: str) -> None:
    found = quantities(compile_sql(text), SAMPLE)
    assert found.get((), D(0)) == D(value)


def test_tickets_whose_latest_outcome_counts() -> None:
    query = compile_sql(
        "SELECT COUNT(*) FROM (SELECT properties.ticket AS ticket, LATEST(properties.outcome) AS outcome "
        "FROM events GROUP BY ticket) AS t WHERE outcome = 'bot'"
    )
    outcomes = [("T1", "bot"), ("T2", "bot"), ("T3", "human"), ("T2", "human")]
    found = [event(f"01-01T0{hour}:00:00", ticket=t, outcome=o) for hour, (t, o) in enumerate(outcomes)]
    assert [(item.hour.hour, item.quantity) for item in hourly_quantities(query, found)[()]] == [
        (0, 1),
        (1, 1),
        (3, -1),
    ]


@pytest.mark.parametrize(
    ("expression", "texts"),
    [
        ("properties.n", ["-3", "2.5", "5", "7", "junk"]),
        ("CAST(properties.n AS NUMERIC)", ["-3", "2.5", "5", "7", None]),
        ("properties.n > 3", ["false", "true", None]),
        ("DATE_TRUNC('hour', timestamp)", ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z", "2025-01-01T03:00:00Z"]),
        ("NULL", [None]),
    ],
)
def test_keys_are_texts(expression: str, texts: list[str | None]) -> None:
    query = compile_sql(f"SELECT 1 AS value, {expression} AS k FROM events")
    found = quantities(query, SAMPLE, by=["k"])
    assert sorted((key[0][1] for key in found), key=lambda text: (text is None, text or "")) == texts


def test_columns_that_are_no_keys_are_summed_away() -> None:
    query = compile_sql("SELECT SUM(properties.n) AS value, properties.region, properties.m FROM events GROUP BY 2, 3")
    assert quantities(query, SAMPLE) == {(): D("11.5")}
    assert quantities(query, SAMPLE, by=["region"]) == {
        (("region", "eu"),): D(2), (("region", "us"),): D("2.5"), (("region", None),): D(7),
    }  # fmt: skip


def test_without_events_there_is_nothing_whatever_the_query_says() -> None:
    query = compile_sql("SELECT COUNT(*) + 5 FROM events")
    assert hourly_quantities(query, []) == final_quantities(query, [], JANUARY) == {}


# 5, 10 and 15 on three days, at 10 until the fifteenth and 20 after (semantics 1.4).
THREE_DAYS = [event(f"01-0{number}T12:00:00", n=n) for number, n in ((1, "5"), (2, "10"), (3, "15"))]


@pytest.mark.parametrize(("whole", "subtotal"), [(False, "300"), (True, "600")])
def test_the_granularity_decides_which_price_applies(whole: bool, subtotal: str) -> None:
    query = compile_sql("SELECT SUM(properties.n) AS value FROM events")
    hours = final_quantities(query, THREE_DAYS, JANUARY) if whole else hourly_quantities(query, THREE_DAYS)
    agreed = terms(entry(1, flat("10"), None, "01-15"), entry(2, flat("20"), "01-15"))
    lines = rate_statement(agreed, JANUARY, {UsageKey(A): list(hours[()])}).lines
    assert sum((line.amount for line in lines), D(0)) == D(subtotal)


def test_an_average_moves_up_and_down() -> None:
    query = compile_sql("SELECT AVG(properties.n) FROM events")
    found = [event(f"01-0{number}T12:00:00", n=n) for number, n in ((1, "4"), (2, "6"), (3, "2"))]
    assert [item.quantity for item in hourly_quantities(query, found)[()]] == [D(4), D(1), D(-1)]


def test_a_group_that_vanishes_goes_back_to_nothing() -> None:
    query = compile_sql(
        "SELECT COUNT(*) AS value, state FROM (SELECT LATEST(properties.n) AS state FROM events) AS t GROUP BY 2"
    )
    found = hourly_quantities(query, [SAMPLE[0], SAMPLE[1]], by=["state"])
    five: Group = (("state", "5"),)
    assert found[five] == [HourQuantity(day("01-01T00:00:00"), D(1)), HourQuantity(day("01-01T01:00:00"), D(-1))]


compiled = st.sampled_from(QUERIES).map(compile_sql)


@given(compiled, events)
def test_the_hours_add_up_to_the_whole(query: Query, found: list[Event]) -> None:
    hours = hourly_quantities(query, found, by=query.keys)
    ordered = sorted(found, key=lambda item: item.timestamp)
    whole = {group: value for group, value in quantities(query, ordered, by=query.keys).items() if value}
    with exact():
        sums = {group: sum((item.quantity for item in items), D(0)) for group, items in hours.items()}
    assert {group: value for group, value in sums.items() if value} == whole


@given(compiled.filter(lambda query: query.is_additive), events)
def test_an_hour_of_an_additive_query_can_be_measured_alone(query: Query, found: list[Event]) -> None:
    hours = hourly_quantities(query, found)
    alone: list[tuple[datetime, Decimal]] = []
    for hour in sorted({item.timestamp.replace(minute=0) for item in found}):
        inside = [item for item in found if hour <= item.timestamp < hour + HOUR]
        alone += [(hour, value) for value in quantities(query, inside).values() if value]
    assert [(item.hour, item.quantity) for item in hours.get((), ())] == alone


@given(compiled)
def test_the_stored_form_leads_back_to_the_query(query: Query) -> None:
    assert query_from_json(json.loads(json.dumps(query_to_json(query)))) == query


@pytest.mark.parametrize(
    ("text", "is_additive"),
    [
        ("SELECT SUM(properties.n) AS value, properties.n IN ('1') AS a, CASE WHEN 1 = 1 THEN 2 END AS b FROM events GROUP BY 2", True),
        ("SELECT SUM(properties.n) AS value, COUNT(*) > 1 AS a FROM events", False),
        ("SELECT SUM(properties.n) AS value, LATEST(properties.m) IN ('1') AS a FROM events", False),
        ("SELECT SUM(properties.n) AS value, CASE WHEN COUNT(*) > 1 THEN 1 END AS a FROM events", False),
        ("SELECT SUM(properties.n) AS value, ROUND(COUNT(*)) AS a FROM events", False),
        ("SELECT properties.n FROM events", True),
        ("SELECT ROUND(AVG(properties.n)) FROM events", False),
    ],
)  # fmt: skip
def test_which_queries_are_additive(text: str, is_additive: bool) -> None:
    query = compile_sql(text)
    assert query.is_additive is is_additive


@pytest.mark.parametrize("n", ["TRUE", "false"])
def test_truth_values_and_instants_as_texts(n: str) -> None:
    query = compile_sql(
        "SELECT 1 AS value, CAST(timestamp AS TEXT) AS at, CAST(properties.n = 'TRUE' AS TEXT) AS is FROM events".replace(
            " AS is", " AS truth"
        )
    )
    [(key, _)] = quantities(query, [event("01-01T00:00:00", n=n)], by=["at", "truth"]).items()
    assert dict(key) == {"at": "2025-01-01T00:00:00Z", "truth": str(n == "TRUE").lower()}


def test_large_numbers_keep_every_digit() -> None:
    nines = "9" * 38
    for text in (f"CEIL({nines})", f"FLOOR({nines})", f"ROUND({nines})", f"{nines} * 1", f"-(-{nines})"):
        assert quantities(compile_sql(f"SELECT {text} FROM events"), SAMPLE[:1]) == {(): D(nines)}


def test_hours_of_an_additive_query_and_the_whole_in_the_last_hour() -> None:
    group: Group = (("k", "a"),)
    steps = [(day("01-01"), {group: D(2)}), (day("01-02"), {group: D(0)}), (day("01-03"), {group: D(-2), (): D(1)})]
    found = summed(steps)
    assert found == {
        group: [HourQuantity(day("01-01"), D(2)), HourQuantity(day("01-03"), D(-2))],
        (): [HourQuantity(day("01-03"), D(1))],
    }
    assert at_the_end(found, JANUARY) == {(): (HourQuantity(day("01-31T23:00:00"), D(1)),)}
    assert differenced(steps)[group] == [
        HourQuantity(day("01-01"), D(2)),
        HourQuantity(day("01-02"), D(-2)),
        HourQuantity(day("01-03"), D(-2)),
    ]


def test_the_whole_at_the_end_is_what_is_measured_at_once() -> None:
    query = compile_sql("SELECT AVG(properties.n) AS value FROM events")
    assert (
        dict(at_the_end(hourly_quantities(query, SAMPLE), JANUARY)).keys()
        == final_quantities(query, SAMPLE, JANUARY).keys()
    )
    [one], [other] = (
        at_the_end(hourly_quantities(query, SAMPLE), JANUARY)[()],
        final_quantities(query, SAMPLE, JANUARY)[()],
    )
    assert one == other


def test_an_sql_metric_is_its_query() -> None:
    query = compile_sql("SELECT COUNT(*) FROM events")
    assert Metric(UUID(int=1), "m", Aggregation.SQL, query=query).key is None
    for wrong in ({"aggregation": Aggregation.SQL}, {"aggregation": Aggregation.COUNT, "query": query}):
        with pytest.raises(ValueError, match="has a query"):
            Metric(UUID(int=1), "m", **wrong)  # type: ignore[arg-type]


def test_values_of_a_usage_query() -> None:
    eu, us = (("plan", "a"), ("region", "eu")), (("plan", "a"), ("region", "us"))
    steps = [(day("01-01"), {eu: D(2), us: D(3)})]
    asked = UsageQuery(JANUARY, UsageWindow.DAY, ("plan",), {"region": ("eu",)})
    assert chosen(asked, steps) == {(day("01-01"), (("plan", "a"),)): D(2)}
    assert chosen(UsageQuery(JANUARY, UsageWindow.DAY), [(day("01-01"), {(): D(5)})]) == {(day("01-01"), ()): D(5)}
