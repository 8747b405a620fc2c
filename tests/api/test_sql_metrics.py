"""SQL metrics over GraphQL: made, priced, asked for, and refused with the place of what is not on the list."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

CREATE = """
mutation ($input: BillableMetricCreateInput!) { billableMetricCreate(input: $input) {
  billableMetric { id aggregation sql groupKeys } userErrors { code message path } } }
"""
INGEST = "mutation ($events: [UsageEventInput!]!) { usageIngest(input: {events: $events}) { accepted } }"
DRAFTS = """
query ($id: ID!) { contract(id: $id) { drafts { subtotal { amount } lines { nodes { quantity pricing { value } } } } } }
"""
SUM = "SELECT SUM(properties.n) AS value FROM events"
BY_REGION = "SELECT SUM(properties.n) AS value, properties.region FROM events GROUP BY properties.region"
NOVEMBER = build.interval("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")


async def made(api: Api, sql: str) -> dict[str, Any]:
    payload = (await api(CREATE, input={"name": "query", "sql": sql}))["billableMetricCreate"]
    assert payload["userErrors"] == [], payload["userErrors"]
    return payload["billableMetric"]


async def use(api: Api, customer: dict[str, Any], *usage: tuple[str, dict[str, Any]]) -> None:
    events = [
        {
            "transactionId": f"t{place}",
            "customerId": customer["id"],
            "eventType": "call",
            "timestamp": at,
            "properties": p,
        }
        for place, (at, p) in enumerate(usage)
    ]
    assert (await api(INGEST, events=events))["usageIngest"] == {"accepted": len(events)}


async def drafts(api: Api, contract: dict[str, Any]) -> list[dict[str, Any]]:
    return (await api(DRAFTS, id=contract["id"]))["contract"]["drafts"]


async def test_a_query_is_the_whole_metric_and_its_columns_the_group_key(api: Api) -> None:
    metric = await made(api, BY_REGION)
    assert metric == {"id": metric["id"], "aggregation": "SQL", "sql": BY_REGION, "groupKeys": [["region"]]}
    payload = await build.attempt(api, "product", name="p", metricId=metric["id"], pricingGroupKey=["region"])
    assert payload["userErrors"] == []
    error = await build.refusal(api, "product", name="p", metricId=metric["id"], pricingGroupKey=["plan"])
    assert (error["code"], error["path"]) == ("INVALID", ["input", "pricingGroupKey"])


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"sql": "SELECT pg_sleep(1) FROM events"}, "SQL_NOT_ALLOWED", ["sql"]),
        ({"sql": "SELECT COUNT(*)\nFROM users"}, "SQL_NOT_ALLOWED", ["sql"]),
        ({"sql": ""}, "REQUIRED", ["sql"]),
        ({"sql": "SELECT 1" + " " * 10_000}, "INVALID", ["sql"]),
        ({"sql": SUM, "aggregation": "SQL"}, "INVALID", ["sql"]),
        ({"sql": SUM, "aggregationKey": "n"}, "INVALID", ["sql"]),
        ({"sql": SUM, "eventTypes": ["a"]}, "INVALID", ["sql"]),
        ({"sql": SUM, "filters": [{"property": "a", "exists": True}]}, "INVALID", ["sql"]),
        ({"sql": SUM, "groupKeys": [["a"]]}, "INVALID", ["sql"]),
        ({"sql": SUM, "money": {"currency": "USD"}}, "INVALID", ["sql"]),
        ({}, "REQUIRED", ["aggregation"]),
        ({"aggregation": "SQL"}, "REQUIRED", ["aggregation"]),
    ],
)
async def test_queries_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    payload = (await api(CREATE, input={"name": "query", **fields}))["billableMetricCreate"]
    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", *path]), error["message"]
    if code == "SQL_NOT_ALLOWED":
        assert error["message"].startswith(("Line 1, column 8: ", "Line 2, column 6: "))
    assert await api("{ billableMetrics { nodes { id } } }") == {"billableMetrics": {"nodes": []}}


# 5, 10 and 15 of which the last comes when the price has doubled and, with it, the price of the last hour.
@pytest.mark.parametrize(("granularity", "subtotal"), [("HOUR", "450"), ("SERVICE_PERIOD", "600")])
async def test_the_granularity_of_a_product_decides_which_price_applies(
    api: Api, granularity: str, subtotal: str
) -> None:
    metric, customer = await made(api, SUM), await build.customer(api)
    product = await build.product(api, metric_id=metric["id"], sqlBreakdownGranularity=granularity)
    later = build.rate(product["id"], "20", startingAt="2026-11-02T00:00:00Z")
    card = await build.rate_card(api, rates=[build.rate(product["id"], "10"), later])
    contract = await build.contract(api, customer["id"], card["id"])
    hours = ("2026-11-01T10:00:00Z", "2026-11-01T20:00:00Z", "2026-11-02T10:00:00Z")
    await use(api, customer, *((at, {"n": n}) for at, n in zip(hours, ("5", "10", "15"), strict=True)))
    assert [draft["subtotal"] for draft in await drafts(api, contract)] == [{"amount": subtotal}]


async def test_only_sql_metrics_have_a_granularity(api: Api) -> None:
    metric = await build.metric(api)
    error = await build.refusal(
        api, "product", name="p", metricId=metric["id"], sqlBreakdownGranularity="SERVICE_PERIOD"
    )
    assert (error["code"], error["path"]) == ("INVALID", ["input", "sqlBreakdownGranularity"])


async def test_another_query_from_an_hour_on_goes_on_from_where_the_first_was(api: Api) -> None:
    """A averages to 4 and then 5; B is nothing until the change, then 10, then 11: 16 in all (semantics 1.4)."""
    average = await made(api, "SELECT AVG(properties.a) AS value FROM events WHERE properties.a IS NOT NULL")
    highest = await made(api, "SELECT MAX(properties.b) AS value FROM events")
    product = await build.product(api, metric_id=average["id"])
    version = {"startingAt": "2026-11-02T00:00:00Z", "metricId": highest["id"]}
    document = (
        "mutation ($id: ID!, $input: ProductVersionInput!) "
        "{ productAddVersion(id: $id, input: $input) { userErrors { code } } }"
    )
    answer = await api(document, id=product["id"], input=version)
    assert answer["productAddVersion"]["userErrors"] == []
    card, customer = await build.rate_card(api, rates=[build.rate(product["id"])]), await build.customer(api)
    contract = await build.contract(api, customer["id"], card["id"])
    await use(
        api, customer,
        ("2026-11-01T01:00:00Z", {"a": "4"}), ("2026-11-01T02:00:00Z", {"a": "6"}),
        ("2026-11-02T01:00:00Z", {"b": "10"}), ("2026-11-02T02:00:00Z", {"b": "11"}),
    )  # fmt: skip
    [draft] = await drafts(api, contract)
    assert [line["quantity"] for line in draft["lines"]["nodes"]] == ["5", "11"]


async def test_a_usage_filter_on_any_property_and_prices_by_column(api: Api) -> None:
    metric, customer = await made(api, BY_REGION), await build.customer(api)
    product = await build.product(api, metric_id=metric["id"], key=["region"])
    card = await build.rate_card(api, rates=[build.rate(product["id"])])
    filters = [{"key": "cloud", "values": ["aws"]}]
    contract = await build.contract(api, customer["id"], card["id"], usageFilters=filters)
    at = "2026-11-02T01:00:00Z"
    await use(
        api, customer,
        (at, {"n": 5, "region": "eu", "cloud": "aws"}), (at, {"n": "7", "region": "us", "cloud": "aws"}),
        (at, {"n": 100, "region": "eu", "cloud": "gcp"}), (at, {"n": "100", "region": "eu"}),
    )  # fmt: skip
    [draft] = await drafts(api, contract)
    lines = [(line["pricing"][0]["value"], line["quantity"]) for line in draft["lines"]["nodes"]]
    assert lines == [("eu", "5"), ("us", "7")]
    usage = """
    query ($customer: ID!, $input: UsageQueryInput!) {
      usage(customerId: $customer, input: $input) { entries { nodes { value group { value } } } } }
    """
    asked = {"metricId": metric["id"], "interval": NOVEMBER, "window": "NONE", "groupBy": ["region"]}
    found = (await api(usage, customer=customer["id"], input=asked))["usage"]["entries"]["nodes"]
    assert found == [{"value": "205", "group": [{"value": "eu"}]}, {"value": "7", "group": [{"value": "us"}]}]
    only = {"groupBy": [], "filters": [{"property": "region", "in": ["us"]}]}
    narrowed = (await api(usage, customer=customer["id"], input=asked | only))["usage"]["entries"]["nodes"]
    assert narrowed == [{"value": "7", "group": []}]


async def test_previews_refuse_sql_metrics(api: Api) -> None:
    metric, customer = await made(api, SUM), await build.customer(api)
    product = await build.product(api, metric_id=metric["id"])
    card = await build.rate_card(api, rates=[build.rate(product["id"])])
    await build.contract(api, customer["id"], card["id"])
    asked = {"customerId": customer["id"], "events": [{"eventType": "call"}]}
    document = "query ($input: UsagePreviewInput!) { usagePreview(input: $input) { invoices { subtotal { amount } } } }"
    [error] = await api.errors(document, input=asked)
    assert error["extensions"]["reason"] == "NOT_SUPPORTED"


SIDE_BY_SIDE = """query ($id: ID!) { contract(id: $id) { drafts { id } }
  a: drafts(contractId: $id) { subtotal { amount } breakdowns { nodes { total { amount } } } }
  b: drafts(contractId: $id) { subtotal { amount } breakdowns(windowSize: HOUR) { nodes { total { amount } } } } }"""


async def test_fields_of_one_request_evaluate_a_query_one_after_the_other(api: Api) -> None:
    """They run at the same time on one session, and each evaluation has a savepoint of its own."""
    metric = await made(api, SUM)
    product = await build.product(api, "p", metric_id=metric["id"])
    card = await build.rate_card(api, rates=[build.rate(product["id"], "2")])
    customer = await build.customer(api)
    contract = await build.contract(api, customer["id"], card["id"])
    await use(api, customer, ("2026-11-01T10:00:00Z", {"n": "3"}), ("2026-11-02T10:00:00Z", {"n": "4"}))
    for _ in range(3):
        shown = await api(SIDE_BY_SIDE, id=contract["id"])
        for name in ("a", "b"):
            [draft] = shown[name]
            assert draft["subtotal"]["amount"] == "14"
            assert [window["total"]["amount"] for window in draft["breakdowns"]["nodes"]] == ["6", "8"]
