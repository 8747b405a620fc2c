"""Metrics, products and rate cards over GraphQL: definitions that are refused, prices that are only ever added."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.actor import system
from app.store import ids
from app.store.engine import Store
from app.usage.buckets import backfill
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from tests import builders as build
from tests.api.conftest import Api
from tests.api.statements import counted

NOWHERE = "0" * 32
CARDS = """
query ($first: Int! = 10, $after: String, $filter: RateFilter, $at: DateTime) {
  rateCards(first: 50) { nodes { name rates(first: $first, after: $after, filter: $filter, at: $at) {
    nodes { product { name metric { name } } price { ... on FlatPrice { unitPrice } } }
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor } } } }
}
"""


async def add_rates(api: Api, card: dict[str, Any], *rates: dict[str, Any]) -> dict[str, Any]:
    return await build.change(
        api, "rateCardAddRates(id: $id, rates: $rates)", "rateCard", id=card["id"], rates=list(rates)
    )


async def test_a_metric_is_shown_as_it_was_given(api: Api) -> None:
    made = await build.metric(
        api,
        "output tokens",
        eventTypes=["completion"],
        eventTypesNotIn=["test"],
        filters=[{"property": "model", "in": ["big", "small"]}, {"property": "debug", "exists": False}],
        groupKeys=[["model", "region"], ["model"]],
    )
    assert made == {
        "id": made["id"], "name": "output tokens", "aggregation": "SUM", "aggregationKey": "n",
        "eventTypes": ["completion"], "eventTypesNotIn": ["test"], "groupKeys": [["model", "region"], ["model"]],
        "filters": [
            {"property": "model", "exists": None, "in": ["big", "small"], "notIn": None},
            {"property": "debug", "exists": False, "in": None, "notIn": None},
        ],
    }  # fmt: skip
    assert await api("query ($id: ID!) { billableMetric(id: $id) { name } }", id=made["id"]) == {
        "billableMetric": {"name": "output tokens"}
    }


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"name": ""}, "REQUIRED", ["input", "name"]),
        ({"aggregationKey": None}, "REQUIRED", ["input", "aggregationKey"]),
        ({"aggregationKey": ""}, "REQUIRED", ["input", "aggregationKey"]),
        ({"aggregation": "COUNT"}, "INVALID", ["input", "aggregationKey"]),
        ({"eventTypes": []}, "INVALID", ["input", "eventTypes"]),
        ({"eventTypes": ["a", "a"]}, "INVALID", ["input", "eventTypes"]),
        ({"eventTypesNotIn": [""]}, "REQUIRED", ["input", "eventTypesNotIn"]),
        ({"filters": [{"property": ""}]}, "REQUIRED", ["input", "filters", "0", "property"]),
        ({"filters": [{"property": "a", "in": []}]}, "INVALID", ["input", "filters", "0", "in"]),
        ({"filters": [{"property": "a", "notIn": []}]}, "INVALID", ["input", "filters", "0", "notIn"]),
        ({"filters": [{"property": "a", "in": ["x"], "exists": False}]}, "INVALID", ["input", "filters", "0"]),
        ({"filters": [{"property": f"p{n}"} for n in range(21)]}, "LIMIT_EXCEEDED", ["input", "filters"]),
        ({"groupKeys": [[]]}, "INVALID", ["input", "groupKeys", "0"]),
        ({"groupKeys": [["a"], ["b", "b"]]}, "INVALID", ["input", "groupKeys", "1"]),
    ],
)
async def test_bad_metrics(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    error = await build.refusal(
        api, "billableMetric", **({"name": "m", "aggregation": "SUM", "aggregationKey": "n"} | fields)
    )
    assert (error["code"], error["path"]) == (code, path)


async def test_unknown_aggregations_and_product_types_never_get_as_far(api: Api) -> None:
    response = await api.post(
        'mutation { billableMetricCreate(input: {name: "m", aggregation: MEDIAN}) { userErrors { code } } }'
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    response = await api.post('mutation { productCreate(input: {name: "p", type: BARTER}) { userErrors { code } } }')
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_earlier_events_count_and_are_put_into_buckets_by_a_job(api: Api, store: Store, now: datetime) -> None:
    early = await build.metric(api, "early")
    event = IncomingEvent(
        transaction_id="t", customer="acme", event_type="call", timestamp="2026-11-01T10:15:00Z", properties={"n": 3}
    )
    async with store.transaction() as session:
        await ingest(session, [event], actor=system("test"), now=now, source="test")
    late = await build.metric(api, "late")
    async with store.transaction() as session:
        rows = (await session.execute(text("select name, events_before_batch, buckets_ready from metrics"))).all()
        jobs = (await session.execute(text("select task_name, args from procrastinate_jobs"))).all()
    identifiers = {name: ids.from_text("metric", made["id"]) for name, made in (("early", early), ("late", late))}
    assert sorted(tuple(row) for row in rows) == [("early", 0, True), ("late", 1, False)]
    assert [tuple(job) for job in jobs] == [("usage.backfill", {"metric": str(identifiers["late"])})]
    async with store.transaction() as session:
        assert await backfill(session, identifiers["late"]) == 1


async def test_a_metric_waits_for_ingest_that_runs(api: Api, store: Store, now: datetime) -> None:
    event = IncomingEvent(
        transaction_id="t", customer="acme", event_type="call", timestamp="2026-11-01T10:15:00Z", properties={"n": 3}
    )
    async with store.transaction() as session:
        await ingest(session, [event], actor=system("test"), now=now, source="test")
        making = asyncio.create_task(build.metric(api))
        await asyncio.sleep(0.2)
        assert not making.done()
    await making
    async with store.transaction() as session:
        assert (await session.execute(text("select events_before_batch from metrics"))).scalar_one() == 1


async def test_a_product_takes_its_keys_from_one_group_key_of_its_metric(api: Api) -> None:
    metric = await build.metric(api, groupKeys=[["model", "region"], ["tier"]])
    made = await build.product(
        api, metric_id=metric["id"], key=["model"], presentationGroupKey=["region", "model"], tags=["llm"]
    )
    assert made["metric"] == {"id": metric["id"]}
    assert (made["pricingGroupKey"], made["presentationGroupKey"]) == (["model"], ["region", "model"])
    error = await build.refusal(
        api, "product", name="P", metricId=metric["id"], pricingGroupKey=["model"], presentationGroupKey=["tier"]
    )
    assert (error["code"], error["path"]) == ("INVALID", ["input", "pricingGroupKey"])
    assert error["message"] == (
        "No single group key of metric 'tokens' holds model, tier; its group keys are: model, region; tier."
    )


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"name": " "}, "REQUIRED", ["input", "name"]),
        ({"metricId": None}, "REQUIRED", ["input", "metricId"]),
        ({"metricId": "nonsense"}, "INVALID", ["input", "metricId"]),
        ({"metricId": f"met_{NOWHERE}"}, "NOT_FOUND", ["input", "metricId"]),
        ({"pricingGroupKey": ["a"]}, "INVALID", ["input", "pricingGroupKey"]),
        ({"presentationGroupKey": ["model", "model"]}, "INVALID", ["input", "presentationGroupKey"]),
        ({"tags": ["x", "x"]}, "INVALID", ["input", "tags"]),
        ({"tags": [""]}, "REQUIRED", ["input", "tags"]),
        ({"tags": [f"t{n}" for n in range(51)]}, "LIMIT_EXCEEDED", ["input", "tags"]),
    ],
)
async def test_bad_products(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    metric = await build.metric(api, groupKeys=[["model"]])
    error = await build.refusal(api, "product", **({"name": "P", "metricId": metric["id"]} | fields))
    assert (error["code"], error["path"]) == (code, path)


async def test_a_card_shows_its_prices_in_the_order_of_addition(api: Api) -> None:
    product = await build.product(api, key=["model"])
    card = await build.rate_card(
        api, description="2026", rates=[build.rate(product["id"], "0.000002500"), build.rate(product["id"], "0", entitled=False)]
    )  # fmt: skip
    assert (await add_rates(api, card, build.rate(
        product["id"], [("1000", "2"), (None, "1.50")], startingAt="2026-12-01T00:00:00Z",
        endingBefore="2027-01-01T01:00:00+01:00", groupValues=build.pairs({"model": "big"}),
    )))["userErrors"] == []  # fmt: skip
    shown = await api(f"query ($id: ID!) {{ rateCard(id: $id) {{ {build.RATE_CARD} }} }}", id=card["id"])
    [flat, unentitled, tiered] = shown["rateCard"]["rates"]["nodes"]
    assert flat["price"] == {"__typename": "FlatPrice", "unitPrice": "0.0000025"}
    assert (flat["startingAt"], flat["endingBefore"], flat["entitled"], flat["groupValues"]) == (None, None, True, [])
    assert unentitled["entitled"] is False
    assert tiered["price"] == {
        "__typename": "TieredPrice", "tiers": [{"size": "1000", "unitPrice": "2"}, {"size": None, "unitPrice": "1.5"}],
    }  # fmt: skip
    assert (tiered["startingAt"], tiered["endingBefore"]) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert tiered["groupValues"] == [{"key": "model", "value": "big"}]
    assert await api("query ($id: ID!) { node(id: $id) { __typename } }", id=tiered["id"]) == {
        "node": {"__typename": "Rate"}
    }


TIERS = ["price", "tiered"]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"startingAt": "2026-11-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"endingBefore": "2026-11-01T00:00:00.5Z"}, "NOT_HOUR_ALIGNED", ["endingBefore"]),
        ({"startingAt": "2026-11-01T00:00:00+05:30"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"startingAt": "2026-11-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"}, "INVALID_INTERVAL", ["endingBefore"]),
        ({"price": {"flat": "-0.01"}}, "INVALID", ["price"]),
        ({"price": {"tiered": []}}, "INVALID", ["price"]),
        ({"price": {"tiered": [{"size": "0", "unitPrice": "1"}, {"unitPrice": "1"}]}}, "INVALID", ["price"]),
        ({"price": {"tiered": [{"unitPrice": "1"}, {"unitPrice": "1"}]}}, "INVALID", ["price"]),
        ({"price": {"tiered": [{"size": "5", "unitPrice": "1"}]}}, "INVALID", [*TIERS, "0", "size"]),
        ({"price": {"tiered": [{"unitPrice": "-1"}]}}, "INVALID", ["price"]),
        ({"price": {"tiered": [*({"size": "1", "unitPrice": "1"} for _ in range(100)), {"unitPrice": "1"}]}}, "LIMIT_EXCEEDED", TIERS),
        ({"productId": f"prd_{NOWHERE}"}, "NOT_FOUND", ["productId"]),
        ({"productId": f"met_{NOWHERE}"}, "INVALID", ["productId"]),
        ({"groupValues": [{"key": "model", "value": "big"}]}, "INVALID", ["groupValues"]),
        ({"groupValues": [{"key": "model", "value": "big"}, {"key": "region", "value": ""}]}, "REQUIRED", ["groupValues", "region"]),
        ({"groupValues": [{"key": "model", "value": "a"}, {"key": "model", "value": "b"}]}, "INVALID", ["groupValues"]),
    ],
)  # fmt: skip
async def test_bad_rates_add_nothing(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    product = await build.product(api, key=["model", "region"])
    good, bad = build.rate(product["id"]), build.rate(product["id"]) | fields
    card = await build.rate_card(api)
    [error] = (await add_rates(api, card, good, bad))["userErrors"]
    assert (error["code"], error["path"]) == (code, ["rates", "1", *path])
    error = await build.refusal(api, "rateCard", name="C", currency="USD", rates=[good, bad], uniquenessKey="key")
    assert (error["code"], error["path"]) == (code, ["input", "rates", "1", *path])
    shown = await api("{ rateCards { nodes { id rates { totalCount } } } }")
    assert shown["rateCards"]["nodes"] == [{"id": card["id"], "rates": {"totalCount": 0}}]
    await build.rate_card(api, uniquenessKey="key")


@pytest.mark.parametrize("price", [{}, {"flat": "1", "tiered": []}, {"flat": None}, {"flat": "NaN"}, {"flat": 0.5}])
async def test_a_price_is_exactly_one_kind_of_exact_number(api: Api, price: dict[str, Any]) -> None:
    product, card = await build.product(api), await build.rate_card(api)
    document = "mutation ($id: ID!, $rates: [RateInput!]!) { rateCardAddRates(id: $id, rates: $rates) { userErrors { code } } }"
    sent = {"id": card["id"], "rates": [{"productId": product["id"], "price": price}]}
    response = await api.post(document, sent)
    assert response.status_code in (200, 400)
    assert "data" not in response.json()
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
    assert any(word in error["message"] for word in ("PriceInput", "Decimal", "'flat'"))


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"name": ""}, "REQUIRED", ["input", "name"]),
        ({"currency": "XYZ"}, "INVALID", ["input", "currency"]),
        ({"currency": "usd"}, "INVALID", ["input", "currency"]),
        ({"description": "x" * 2_001}, "INVALID", ["input", "description"]),
    ],
)
async def test_bad_cards(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    error = await build.refusal(api, "rateCard", **({"name": "C", "currency": "USD"} | fields))
    assert (error["code"], error["path"]) == (code, path)


async def test_a_call_takes_one_to_a_thousand_rates(api: Api) -> None:
    product, card = await build.product(api), await build.rate_card(api)
    one = build.rate(product["id"])
    [error] = (await add_rates(api, card))["userErrors"]
    assert (error["code"], error["path"]) == ("REQUIRED", ["rates"])
    [error] = (await add_rates(api, card, *[one] * 1_001))["userErrors"]
    assert (error["code"], error["status"]) == ("LIMIT_EXCEEDED", 422)
    assert (await add_rates(api, card, *[one] * 1_000))["userErrors"] == []


async def test_rates_added_at_once_are_counted_without_gaps(api: Api, store: Store) -> None:
    product, card = await build.product(api), await build.rate_card(api)
    await asyncio.gather(*(add_rates(api, card, *[build.rate(product["id"])] * 3) for _ in range(10)))
    async with store.transaction() as session:
        found = (await session.execute(text("select added from rates order by added"))).scalars().all()
    assert found == list(range(1, 31))


async def test_what_is_archived_is_used_by_nothing_new(api: Api) -> None:
    metric = await build.metric(api)
    product = await build.product(api, metric_id=metric["id"])
    card = await build.rate_card(api, rates=[build.rate(product["id"])])
    for call, kind, made in (
        ("billableMetricArchive(id: $id)", "billableMetric", metric),
        ("productArchive(id: $id)", "product", product),
        ("rateCardArchive(id: $id)", "rateCard", card),
    ):
        assert (await build.change(api, call, kind, id=made["id"]))["userErrors"] == []
        [error] = (await build.change(api, call, kind, id=made["id"]))["userErrors"]
        assert (error["code"], error["conflicting"]) == ("ARCHIVED", {"id": made["id"]})
    refused = [
        (await build.refusal(api, "product", name="P", metricId=metric["id"])),
        (await build.refusal(api, "rateCard", name="C", currency="USD", rates=[build.rate(product["id"])])),
        (await add_rates(api, card, build.rate(product["id"])))["userErrors"][0],
    ]
    assert [(error["code"], error["conflicting"]["id"]) for error in refused] == [
        ("ARCHIVED", metric["id"]), ("ARCHIVED", product["id"]), ("ARCHIVED", card["id"]),
    ]  # fmt: skip
    lists = "{{ billableMetrics{f} {{ totalCount }} products{f} {{ totalCount }} rateCards{f} {{ totalCount }} }}"
    for given, expected in (("", 0), ("(filter: {includeArchived: true})", 1)):
        found = await api(lists.format(f=given))
        assert [page["totalCount"] for page in found.values()] == [expected] * 3


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("billableMetric", {"name": "m", "aggregation": "COUNT"}),
        ("product", {"name": "p"}),
        ("rateCard", {"name": "c", "currency": "USD"}),
    ],
)
async def test_fifty_at_once_with_one_key_make_one(api: Api, kind: str, fields: dict[str, Any]) -> None:
    if kind == "product":
        fields = fields | {"metricId": (await build.metric(api))["id"]}
    payloads = await asyncio.gather(*(build.attempt(api, kind, **fields, uniquenessKey="key") for _ in range(50)))
    made = [payload[kind]["id"] for payload in payloads if payload[kind]]
    errors = [error for payload in payloads for error in payload["userErrors"]]
    assert len(made) == 1
    assert [(error["code"], error["conflicting"]["id"]) for error in errors] == [
        ("UNIQUENESS_KEY_CONFLICT", made[0])
    ] * 49


async def test_pages_of_rates_follow_each_card_and_filter(api: Api) -> None:
    product, other = await build.product(api, "Tokens"), await build.product(api, "Seats")
    prices = [build.rate(product["id"], str(n)) for n in range(1, 6)]
    card = await build.rate_card(
        api, "A", rates=[*prices, build.rate(other["id"], "9", startingAt="2026-12-01T00:00:00Z")]
    )
    await build.rate_card(api, "B", rates=prices[:1])

    async def page(**variables: Any) -> tuple[list[str], dict[str, Any]]:
        found = (await api(CARDS, **variables))["rateCards"]["nodes"][0]
        assert found["name"] == card["name"]
        return [node["price"]["unitPrice"] for node in found["rates"]["nodes"]], found["rates"]

    values, first = await page(first=4)
    assert (values, first["totalCount"]) == (["1", "2", "3", "4"], 6)
    assert first["pageInfo"]["hasNextPage"] is True
    values, second = await page(first=4, after=first["pageInfo"]["endCursor"])
    assert values == ["5", "9"]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)
    assert (await page(filter={"productId": other["id"]}))[0] == ["9"]
    values, november = await page(at="2026-11-30T23:59:59Z")
    assert (values, november["totalCount"]) == (["5"], 1)
    assert (await page(filter={"productId": other["id"]}, at="2026-12-01T00:00:00Z"))[0] == ["9"]
    for variables in ({"first": 0}, {"first": 101}, {"after": "nonsense"}, {"filter": {"productId": "nonsense"}}):
        [error] = (await api.errors(CARDS, **variables))[:1]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", variables


async def test_a_list_of_cards_with_prices_costs_no_more_than_one_card(api: Api, store: Store) -> None:
    products = [await build.product(api, f"P{n}") for n in range(3)]
    rates = [build.rate(product["id"]) for product in products]

    async def statements() -> int:
        with counted(store) as seen:
            await api(CARDS)
        return len(seen)

    await build.rate_card(api, "C0", rates=rates)
    one = await statements()
    for n in range(1, 8):
        await build.rate_card(api, f"C{n}", rates=rates)
    assert await statements() == one


async def test_every_mutation_leaves_one_audit_entry(api: Api) -> None:
    metric = await build.metric(api)
    product = await build.product(api, metric_id=metric["id"])
    card = await build.rate_card(api, rates=[build.rate(product["id"])])
    await add_rates(api, card, build.rate(product["id"], "2"))
    await build.change(api, "rateCardArchive(id: $id)", "rateCard", id=card["id"])
    await build.refusal(api, "rateCard", name="", currency="USD")
    found = await api("{ auditLog { nodes { action outcome code resourceId after } } }")
    entries = found["auditLog"]["nodes"][::-1]
    assert [(entry["action"], entry["code"], entry["resourceId"]) for entry in entries] == [
        ("billable_metric.create", None, metric["id"]),
        ("product.create", None, product["id"]),
        ("rate_card.create", None, card["id"]),
        ("rate_card.add_rates", None, card["id"]),
        ("rate_card.archive", None, card["id"]),
        ("rate_card.create", "REQUIRED", None),
    ]
    assert (entries[2]["after"]["rates"], entries[3]["after"]["rates"]) == (1, 2)


async def test_scopes(api: Api) -> None:
    customer = await build.customer(api)
    card = await build.rate_card(api)
    reader = await api.with_scopes("catalog:read")
    [error] = await reader.errors(
        'mutation { rateCardCreate(input: {name: "C", currency: "USD"}) { rateCard { id } } }'
    )
    assert error["extensions"]["requiredScope"] == "catalog:write"
    writer = await api.with_scopes("catalog:write")
    [error] = await writer.errors("{ products { totalCount } }")
    assert error["extensions"]["requiredScope"] == "catalog:read"
    token = await api.with_scopes("catalog:read", customerId=customer["id"])
    [error] = await token.errors("{ rateCards { totalCount } }")
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await token("query ($id: ID!) { node(id: $id) { id } }", id=card["id"]) == {"node": None}
