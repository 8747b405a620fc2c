"""Usage queries and event search over GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

SERIES = """
isTruncated entries(first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor }
  nodes { value interval { startingAt endingBefore } group { property value } } }
"""
USAGE = f"""
query ($customer: ID!, $input: UsageQueryInput!, $first: Int! = 100, $after: String) {{
  usage(customerId: $customer, input: $input) {{ metric {{ name }} {SERIES} }} }}
"""
BY_CUSTOMER = f"""
query ($input: UsageQueryInput!, $page: Int! = 25, $from: String, $first: Int! = 100, $after: String) {{
  usageByCustomer(input: $input, first: $page, after: $from) {{ totalCount pageInfo {{ hasNextPage endCursor }}
    nodes {{ customer {{ name }} series {{ {SERIES} }} }} }} }}
"""
EVENTS = """
query ($ids: [String!]!) { usageEvents(transactionIds: $ids) { nodes {
  transactionId eventType timestamp receivedAt reference properties customer { name }
  matchedMetrics { isCounted metric { name } } } } }
"""
INGEST = "mutation ($events: [UsageEventInput!]!) { usageIngest(input: {events: $events}) { accepted } }"
INTERVAL = build.interval("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z")


class World:
    """Tokens of Acme, which also sends as "acme-eu", on two days and in two regions."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self) -> World:
        self.customer = await build.customer(self.api, externalId="acme", ingestAliases=["acme-eu"])
        self.metric = await build.metric(self.api, groupKeys=[["region", "plan"], ["zone"]])
        await self.send(
            ("a", "acme", "2026-11-01T10:00:00Z", {"n": "5", "region": "eu"}),
            ("b", "acme-eu", "2026-11-01T10:30:00Z", {"n": 2, "region": "eu"}),
            ("c", self.customer["id"], "2026-11-02T11:00:00Z", {"n": "1.5", "region": "us"}),
            ("d", "acme", "2026-11-02T11:00:00Z", {"n": "junk", "region": "us"}),
        )
        return self

    async def send(self, *usage: tuple[str, str, str, dict[str, Any]]) -> None:
        events = [
            {
                "transactionId": key,
                "customerId": reference,
                "eventType": "call",
                "timestamp": at,
                "properties": properties,
            }
            for key, reference, at, properties in usage
        ]
        assert (await self.api(INGEST, events=events))["usageIngest"] == {"accepted": len(events)}

    def asks(self, **fields: Any) -> dict[str, Any]:
        return {"metricId": self.metric["id"], "interval": INTERVAL, **fields}

    async def usage(self, **fields: Any) -> dict[str, Any]:
        return (await self.api(USAGE, customer=self.customer["id"], input=self.asks(**fields)))["usage"]

    async def refusal(self, **fields: Any) -> tuple[str, list[str]]:
        [error] = await self.api.errors(USAGE, customer=self.customer["id"], input=self.asks(**fields))
        return error["extensions"]["reason"], error["extensions"]["argument"]


@pytest.fixture
async def world(api: Api) -> World:
    return await World(api).made()


def values(series: dict[str, Any]) -> list[str | None]:
    return [entry["value"] for entry in series["entries"]["nodes"]]


async def test_usage_is_that_of_all_references_by_day_unless_said_otherwise(world: World) -> None:
    series = await world.usage()
    assert series["metric"] == {"name": "tokens"}
    assert series["isTruncated"] is False
    assert series["entries"]["nodes"] == [
        {"value": "7", "interval": build.interval("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"), "group": []},
        {"value": "1.5", "interval": build.interval("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"), "group": []},
    ]
    assert values(await world.usage(window="NONE")) == ["8.5"]
    hours = await world.usage(window="HOUR")
    assert [entry["interval"]["startingAt"][11:13] for entry in hours["entries"]["nodes"]] == ["10", "11"]


async def test_groups_named_and_found(world: World) -> None:
    found = await world.usage(window="NONE", groupBy=["region"])
    assert [(entry["group"], entry["value"]) for entry in found["entries"]["nodes"]] == [
        ([{"property": "region", "value": "eu"}], "7"),
        ([{"property": "region", "value": "us"}], "1.5"),
    ]
    named = await world.usage(window="NONE", groupBy=["region"], filters=[{"property": "region", "in": ["us", "jp"]}])
    assert [(entry["group"][0]["value"], entry["value"]) for entry in named["entries"]["nodes"]] == [
        ("jp", None),
        ("us", "1.5"),
    ]
    only = await world.usage(window="NONE", filters=[{"property": "region", "in": ["eu"]}])
    assert values(only) == ["7"]


async def test_pages_of_entries(world: World) -> None:
    asked = world.asks(window="HOUR", groupBy=["region"])
    first = (await world.api(USAGE, customer=world.customer["id"], input=asked, first=1))["usage"]["entries"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], len(first["nodes"])) == (2, True, 1)
    after = first["pageInfo"]["endCursor"]
    rest = (await world.api(USAGE, customer=world.customer["id"], input=asked, after=after))["usage"]["entries"]
    assert [entry["value"] for entry in rest["nodes"]] == ["1.5"]


REFUSED: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"interval": build.interval("2026-11-01T00:30:00Z", "2026-11-02T00:00:00Z")}, "NOT_HOUR_ALIGNED", ["interval", "startingAt"]),
    ({"interval": build.interval("2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z")}, "INVALID_INTERVAL", ["interval", "endingBefore"]),
    ({"interval": build.interval("2026-11-02T00:00:00Z")}, "REQUIRED", ["interval", "endingBefore"]),
    ({"interval": build.interval("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"), "window": "HOUR"}, "LIMIT_EXCEEDED", ["interval"]),
    ({"interval": build.interval("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z")}, "LIMIT_EXCEEDED", ["interval"]),
    ({"groupBy": ["region", "zone"]}, "INVALID", ["groupBy"]),
    ({"groupBy": ["region"], "filters": [{"property": "zone", "in": ["a"]}]}, "INVALID", ["groupBy"]),
    ({"filters": [{"property": "cloud", "in": ["a"]}]}, "INVALID", ["filters"]),
    ({"groupBy": ["region", "region"]}, "INVALID", ["groupBy"]),
    ({"filters": [{"property": "region", "in": []}]}, "REQUIRED", ["filters"]),
    ({"filters": [{"property": "region", "in": ["a"]}, {"property": "region", "in": ["b"]}]}, "INVALID", ["filters"]),
    ({"filters": [{"property": "region", "in": [str(n) for n in range(201)]}]}, "LIMIT_EXCEEDED", ["filters"]),
    ({"metricId": "met_" + "0" * 32}, "NOT_FOUND", ["metricId"]),
    ({"metricId": "nonsense"}, "INVALID", ["metricId"]),
    (
        {"window": "DAY", "interval": build.interval("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"), "groupBy": ["region"],
         "filters": [{"property": "region", "in": [str(n) for n in range(100)]}]},
        "LIMIT_EXCEEDED", [],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "code", "path"), REFUSED)
async def test_queries_that_are_refused(world: World, fields: dict[str, Any], code: str, path: list[str]) -> None:
    assert await world.refusal(**fields) == (code, ["input", *path])


async def test_all_customers_page_by_page(world: World) -> None:
    await build.customer(world.api, "Quiet")
    await build.customer(world.api, "Loud", externalId="loud")
    await world.send(("x", "loud", "2026-11-02T10:00:00Z", {"n": "9"}))
    asked = world.asks(window="NONE")
    first = (await world.api(BY_CUSTOMER, input=asked, page=2))["usageByCustomer"]
    assert first["totalCount"] == 3
    assert [(item["customer"]["name"], values(item["series"])) for item in first["nodes"]] == [
        ("Acme", ["8.5"]), ("Quiet", []),
    ]  # fmt: skip
    after = first["pageInfo"]["endCursor"]
    rest = (await world.api(BY_CUSTOMER, input=asked, **{"from": after}))["usageByCustomer"]
    assert [(item["customer"]["name"], values(item["series"])) for item in rest["nodes"]] == [("Loud", ["9"])]
    assert rest["pageInfo"]["hasNextPage"] is False


async def test_events_by_their_ids_with_what_was_made_of_them(world: World) -> None:
    await build.metric(world.api, "of others", eventTypes=["chat"])
    await world.send(("e", "nobody", "2026-11-02T11:00:00Z", {"n": 1, "deep": [{"x": True}]}))
    found = (await world.api(EVENTS, ids=["e", "d", "never", "a"]))["usageEvents"]["nodes"]
    counted = [{"isCounted": True, "metric": {"name": "tokens"}}]
    common = {"eventType": "call", "receivedAt": "2026-11-02T12:00:00Z", "customer": {"name": "Acme"}}
    assert found == [
        {**common, "transactionId": "a", "timestamp": "2026-11-01T10:00:00Z", "reference": "acme",
         "properties": {"n": "5", "region": "eu"}, "matchedMetrics": counted},
        {**common, "transactionId": "d", "timestamp": "2026-11-02T11:00:00Z", "reference": "acme",
         "properties": {"n": "junk", "region": "us"}, "matchedMetrics": [{**counted[0], "isCounted": False}]},
        {**common, "transactionId": "e", "timestamp": "2026-11-02T11:00:00Z", "reference": "nobody", "customer": None,
         "properties": {"n": 1, "deep": [{"x": True}]}, "matchedMetrics": counted},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "code"), [([], "REQUIRED"), ([""], "REQUIRED"), (["a", "a"], "INVALID"), ([str(n) for n in range(101)], "LIMIT_EXCEEDED")]
)  # fmt: skip
async def test_searches_that_are_refused(world: World, ids: list[str], code: str) -> None:
    [error] = await world.api.errors(EVENTS, ids=ids)
    assert (error["extensions"]["reason"], error["extensions"]["argument"]) == (code, ["transactionIds"])


async def test_reading_usage_asks_for_its_scope(world: World) -> None:
    sender = await world.api.with_scopes("usage:write")
    for document, variables in (
        (USAGE, {"customer": world.customer["id"], "input": world.asks()}),
        (EVENTS, {"ids": ["a"]}),
    ):
        [error] = (await sender.errors(document, **variables))[:1]
        assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_customers_own_token_sees_its_own_usage_only(world: World) -> None:
    other = await build.customer(world.api, "Other")
    own = await world.api.with_scopes("usage:read", "catalog:read", customerId=world.customer["id"])
    series = (await own(USAGE, customer=world.customer["id"], input=world.asks(window="NONE")))["usage"]
    assert (series["metric"], values(series)) == (None, ["8.5"])
    [error] = await own.errors(USAGE, customer=other["id"], input=world.asks())
    assert error["extensions"]["reason"] == "NOT_FOUND"
    for document, variables in ((BY_CUSTOMER, {"input": world.asks()}), (EVENTS, {"ids": ["a"]})):
        [error] = (await own.errors(document, **variables))[:1]
        assert error["extensions"]["code"] == "FORBIDDEN"
