"""Conversions, roundings and scheduled versions of products over GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_usage_ingest import event, ingest

SHOWN = """
id quantityConversion { operation factor } quantityRounding { method decimalPlaces }
versions { startingAt metric { name } quantityConversion { operation factor }
  quantityRounding { method decimalPlaces } }
"""
ADD = f"""
mutation ($id: ID!, $input: ProductVersionInput!) {{ productAddVersion(id: $id, input: $input) {{
  product {{ {SHOWN} }} userErrors {{ code path message }} }} }}
"""
NOVEMBER = "2026-11-10T00:00:00Z"
GIGABYTES = {"operation": "DIVIDE", "factor": "1024"}
WHOLE = {"method": "ROUND_UP", "decimalPlaces": 0}


async def add(api: Api, product: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return (await api(ADD, id=product["id"], input={"startingAt": NOVEMBER, **fields}))["productAddVersion"]


async def test_a_product_changes_from_an_hour_on(api: Api) -> None:
    product = await build.product(api, quantityConversion=GIGABYTES, quantityRounding=WHOLE)
    other = await build.metric(api, "other", aggregation="MAX", aggregationKey="m")
    await add(api, product, metricId=other["id"])
    payload = await add(api, product, quantityConversion={"operation": "MULTIPLY", "factor": "2"})
    assert payload["userErrors"] == []
    assert payload["product"] == {
        "id": product["id"],
        "quantityConversion": GIGABYTES,
        "quantityRounding": WHOLE,
        "versions": [
            {"startingAt": NOVEMBER, "metric": {"name": "other"}, "quantityConversion": None, "quantityRounding": None},
            {
                "startingAt": NOVEMBER, "metric": None, "quantityRounding": None,
                "quantityConversion": {"operation": "MULTIPLY", "factor": "2"},
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "REQUIRED", ["input"]),
        ({"quantityConversion": {**GIGABYTES, "factor": "0"}}, "INVALID", ["input", "quantityConversion"]),
        ({"quantityRounding": {**WHOLE, "decimalPlaces": -1}}, "INVALID", ["input", "quantityRounding"]),
        (
            {"quantityRounding": {**WHOLE, "decimalPlaces": 13}},
            "INVALID",
            ["input", "quantityRounding", "decimalPlaces"],
        ),
        (
            {"startingAt": "2026-11-10T00:30:00Z", "quantityRounding": WHOLE},
            "NOT_HOUR_ALIGNED",
            ["input", "startingAt"],
        ),
        ({"metricId": "met_" + "0" * 32}, "NOT_FOUND", ["input", "metricId"]),
        ({"name": " "}, "REQUIRED", ["input", "name"]),
        ({"tags": ["a", "a"]}, "INVALID", ["input", "tags"]),
    ],
)
async def test_versions_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    product = await build.product(api)
    payload = await add(api, product, **fields)
    [error] = payload["userErrors"]
    assert (payload["product"], error["code"], error["path"]) == (None, code, path), error["message"]


async def test_a_metric_must_offer_the_group_keys_of_the_product(api: Api) -> None:
    product = await build.product(api, key=["region"])
    bare = await build.metric(api, "bare")
    payload = await add(api, product, metricId=bare["id"])
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID"]


async def test_an_archived_product_changes_no_more(api: Api) -> None:
    product = await build.product(api)
    await build.change(api, "productArchive(id: $id)", "product", id=product["id"])
    payload = await add(api, product, quantityRounding=WHOLE)
    assert [error["code"] for error in payload["userErrors"]] == ["ARCHIVED"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantityRounding", {**WHOLE, "decimalPlaces": 99}), ("quantityConversion", {**GIGABYTES, "factor": "-1"})],
)
async def test_a_new_product_is_checked_the_same_way(api: Api, field: str, value: dict[str, Any]) -> None:
    metric = await build.metric(api)
    error = await build.refusal(api, "product", name="Data", metricId=metric["id"], **{field: value})
    assert (error["code"], error["path"][:2]) == ("INVALID", ["input", field])


async def test_a_metric_that_reads_a_property_needs_one(api: Api) -> None:
    for aggregation in ("MAX", "UNIQUE", "LATEST"):
        error = await build.refusal(api, "billableMetric", name="m", aggregation=aggregation)
        assert (error["code"], error["path"]) == ("REQUIRED", ["input", "aggregationKey"])


NAMES = """
query ($id: ID!) { product(id: $id) { name tags initial { name tags metric { name } quantityRounding { decimalPlaces } }
  current { name tags metric { name } quantityRounding { decimalPlaces } } versions { startingAt name tags } } }
"""


async def test_a_product_is_renamed_and_gets_other_tags_from_an_hour_on(api: Api) -> None:
    product = await build.product(api, "Tokens", tags=["llm"])
    for fields in (
        {"startingAt": "2026-11-01T00:00:00Z", "name": "Big tokens"},
        {"startingAt": "2026-11-01T00:00:00Z", "tags": ["llm", "big"], "quantityRounding": WHOLE},
        {"startingAt": "2026-12-01T00:00:00Z", "name": "Huge tokens", "tags": []},
    ):
        assert (await add(api, product, **fields))["userErrors"] == []
    shown = (await api(NAMES, id=product["id"]))["product"]
    metric = {"name": "tokens"}
    assert shown["initial"] == {"name": "Tokens", "tags": ["llm"], "metric": metric, "quantityRounding": None}
    assert shown["current"] == {
        "name": "Big tokens", "tags": ["llm", "big"], "metric": metric, "quantityRounding": {"decimalPlaces": 0},
    }  # fmt: skip
    assert (shown["name"], shown["tags"]) == ("Big tokens", ["llm", "big"])
    assert [(version["name"], version["tags"]) for version in shown["versions"]] == [
        ("Big tokens", None), (None, ["llm", "big"]), ("Huge tokens", []),
    ]  # fmt: skip


async def test_lines_of_a_draft_begin_anew_with_a_name_and_its_tags(api: Api) -> None:
    product = await build.product(api, "Tokens")
    card = await build.rate_card(api, rates=[build.rate(product["id"], "10")])
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(
        api, customer["id"], card["id"], overrides=[{"change": {"multiplier": "0.5"}, "anyTags": ["cheap"]}]
    )
    await ingest(api, event("1"), event("2", timestamp="2026-11-02T10:00:00Z"))
    await add(api, product, startingAt="2026-11-02T00:00:00Z", name="Cheap tokens", tags=["cheap"])
    document = """
    query ($id: ID!) { contract(id: $id) { drafts { lines { nodes { productName productTags quantity unitPrice } } }
      rateSchedule { nodes { productName overridePrice { ... on FlatPrice { unitPrice } } } } } }
    """
    shown = (await api(document, id=contract["id"]))["contract"]
    assert [tuple(line.values()) for line in shown["drafts"][0]["lines"]["nodes"]] == [
        ("Tokens", [], "3", "10"),
        ("Cheap tokens", ["cheap"], "3", "5"),
    ]
    assert shown["rateSchedule"]["nodes"] == [{"productName": "Cheap tokens", "overridePrice": {"unitPrice": "5"}}]


async def test_what_nothing_measures_can_be_renamed_and_no_more(api: Api) -> None:
    tokens = await build.product(api, "Tokens")
    fee = await build.attempt(api, "product", name="Fee", type="COMPOSITE", composite={"productIds": [tokens["id"]]})
    assert (await add(api, fee["product"], name="Support"))["userErrors"] == []
    [error] = (await add(api, fee["product"], quantityRounding=WHOLE))["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID", ["id"])


KEYS = """
query ($id: ID!) { product(id: $id) { pricingGroupKey
  initial { pricingGroupKey presentationGroupKey sqlBreakdownGranularity composite { scope } }
  current { pricingGroupKey presentationGroupKey }
  versions { pricingGroupKey presentationGroupKey sqlBreakdownGranularity composite { tags scope excludeFreeUsage } } } }
"""
SPLIT = ["team", "region"]


async def test_group_keys_change_from_an_hour_on(api: Api) -> None:
    metric = await build.metric(api, groupKeys=[SPLIT])
    product = await build.product(api, metric_id=metric["id"], key=["region"])
    first = "2026-11-01T00:00:00Z"
    assert (await add(api, product, startingAt=first, presentationGroupKey=["team"]))["userErrors"] == []
    assert (await add(api, product, startingAt="2027-01-01T00:00:00Z", pricingGroupKey=[]))["userErrors"] == []
    shown = (await api(KEYS, id=product["id"]))["product"]
    assert shown["pricingGroupKey"] == ["region"]
    assert shown["initial"] == {
        "pricingGroupKey": ["region"], "presentationGroupKey": [], "sqlBreakdownGranularity": "HOUR", "composite": None,
    }  # fmt: skip
    assert shown["current"] == {"pricingGroupKey": ["region"], "presentationGroupKey": ["team"]}
    assert [(one["pricingGroupKey"], one["presentationGroupKey"]) for one in shown["versions"]] == [
        (None, ["team"]), ([], None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"pricingGroupKey": ["planet"]}, ["input", "pricingGroupKey"]),
        ({"pricingGroupKey": ["region", "region"]}, ["input", "pricingGroupKey"]),
        ({"presentationGroupKey": ["model"]}, ["input", "pricingGroupKey"]),
        ({"pricingGroupKey": [], "presentationGroupKey": ["team", "model"]}, ["input", "presentationGroupKey"]),
        ({"sqlBreakdownGranularity": "SERVICE_PERIOD"}, ["input", "sqlBreakdownGranularity"]),
        ({"composite": {"tags": ["core"]}}, ["input", "composite"]),
    ],
)
async def test_group_keys_that_are_refused(api: Api, fields: dict[str, Any], path: list[str]) -> None:
    metric = await build.metric(api, groupKeys=[["region", "team"], ["model"]])
    product = await build.product(api, metric_id=metric["id"], key=["region"])
    payload = await add(api, product, **fields)
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [("INVALID", path)], payload
    assert (await api(KEYS, id=product["id"]))["product"]["versions"] == []


async def test_keys_must_be_offered_by_the_metrics_of_later_versions_too(api: Api) -> None:
    metric = await build.metric(api, groupKeys=[["region"], ["team"]])
    regional = await build.metric(api, "regional", groupKeys=[["region"]])
    product = await build.product(api, metric_id=metric["id"], key=["region"])
    assert (await add(api, product, startingAt="2027-01-01T00:00:00Z", metricId=regional["id"]))["userErrors"] == []
    payload = await add(api, product, pricingGroupKey=["team"])
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID"]
    assert (await add(api, product, startingAt="2027-02-01T00:00:00Z", pricingGroupKey=[]))["userErrors"] == []


async def test_rates_and_overrides_may_name_the_keys_of_any_time_and_of_their_own(api: Api) -> None:
    metric = await build.metric(api, groupKeys=[["region"], ["team"]])
    product = await build.product(api, metric_id=metric["id"], key=["region"])
    await add(api, product, startingAt="2026-12-01T00:00:00Z", pricingGroupKey=["team"])
    eu, red = (build.pairs({name: value}) for name, value in (("region", "eu"), ("team", "red")))
    card = await build.rate_card(
        api, rates=[build.rate(product["id"], groupValues=eu), build.rate(product["id"], "2", groupValues=red)]
    )
    late = build.rate(product["id"], groupValues=eu, startingAt="2026-12-01T00:00:00Z")
    error = await build.refusal(api, "rateCard", name="Late", currency="USD", rates=[late])
    assert (error["code"], error["path"]) == ("INVALID", ["input", "rates", "0", "groupValues"])
    customer = await build.customer(api)
    for values, is_fine in ((eu, True), (red, True), ([*eu, *red], False), (build.pairs({"x": "y"}), False)):
        specifier = {"productId": product["id"], "pricing": values}
        own = [{"change": {"overwrite": {"flat": "3"}}, "specifiers": [specifier]}]
        payload = await build.attempt(
            api, "contract", customerId=customer["id"], rateCardId=card["id"],
            interval=build.interval("2026-11-01T00:00:00Z"), overrides=own,
        )  # fmt: skip
        assert (payload["userErrors"] == []) is is_fine, payload["userErrors"]


async def test_lines_before_and_after_other_group_keys(api: Api) -> None:
    """Tiers of 4 at 1, then 2: six by region, then six together; each split has its own place in the tiers."""
    metric = await build.metric(api, groupKeys=[["region"]])
    product = await build.product(api, metric_id=metric["id"], key=["region"], quantityRounding=WHOLE)
    tiers = [("4", "1"), (None, "2")]
    card = await build.rate_card(api, rates=[build.rate(product["id"], tiers)])
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(api, customer["id"], card["id"])
    for name, when, region in (("1", "01T10", "eu"), ("2", "01T11", "us"), ("3", "02T10", "eu"), ("4", "02T11", "us")):
        n = "5.5" if region == "eu" else "1"
        await ingest(api, event(name, timestamp=f"2026-11-{when}:00:00Z", properties={"n": n, "region": region}))
    assert (await add(api, product, startingAt="2026-11-02T00:00:00Z", pricingGroupKey=[]))["userErrors"] == []
    document = """
    query ($id: ID!) { contract(id: $id) { drafts { subtotal { amount } unratedUsage { quantity }
      lines { nodes { quantity unitPrice pricing { key value } } } } } }
    """
    [draft] = (await api(document, id=contract["id"]))["contract"]["drafts"]
    shown = [
        (pair[0]["value"] if (pair := line["pricing"]) else None, line["quantity"], line["unitPrice"])
        for line in draft["lines"]["nodes"]
    ]
    assert shown == [(None, "4", "1"), (None, "3", "2"), ("eu", "4", "1"), ("eu", "2", "2"), ("us", "1", "1")]
    assert (draft["subtotal"]["amount"], draft["unratedUsage"]) == ("19", [])
