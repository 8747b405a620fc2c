"""Overrides of contracts over GraphQL: shown as they were given, refused by rule, and nothing stored then."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

CREATE = """
mutation ($input: ContractCreateInput!) { contractCreate(input: $input) {
  contract { id overridePriority overrides {
    startingAt endingBefore entitled priority anyTags product { name }
    change { __typename ... on PriceMultiplier { multiplier }
      ... on PriceOverwrite { price { ... on FlatPrice { unitPrice } } }
      ... on PriceTieredMultiplier { tiers { size multiplier } } }
    specifiers { tags product { name } pricing { key value } presentation { key value } } } }
  userErrors { code path message } } }
"""
NOVEMBER = "2026-11-01T00:00:00Z"
HALF = {"multiplier": "0.5"}
BY_TIER = {"tiered": [{"size": "10", "multiplier": "0.8"}, {"multiplier": "0.7"}]}


class Deal:
    """A card on which Tokens cost by region and Calls do not; Stranger is on no card."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self) -> Deal:
        api = self.api
        self.tokens = await build.product(api, "Tokens", key=["region"])
        self.calls, self.stranger = [await build.product(api, name) for name in ("Calls", "Stranger")]
        by_region = build.rate(self.tokens["id"], groupValues=build.pairs({"region": "eu"}))
        self.card = await build.rate_card(api, rates=[by_region, build.rate(self.calls["id"])])
        self.customer = await build.customer(api)
        return self

    async def sign(self, *overrides: dict[str, Any], **fields: Any) -> dict[str, Any]:
        whole = {"customerId": self.customer["id"], "rateCardId": self.card["id"], "overrides": list(overrides)}
        answer = await self.api(CREATE, input={"interval": {"startingAt": NOVEMBER}, **whole, **fields})
        return answer["contractCreate"]


@pytest.fixture
async def deal(api: Api) -> Deal:
    return await Deal(api).made()


async def test_overrides_are_shown_as_they_were_given(deal: Deal) -> None:
    region = {"productId": deal.tokens["id"], "pricing": [{"key": "region", "value": "eu"}]}
    payload = await deal.sign(
        {"change": HALF, "priority": 2, "startingAt": NOVEMBER, "endingBefore": "2026-12-01T00:00:00Z"},
        {"change": BY_TIER, "priority": 1, "anyTags": ["core", "gpu"]},
        {"change": {"overwrite": {"flat": "0.25"}}, "specifiers": [region]},
        {"entitled": False, "productId": deal.calls["id"]},
        overridePriority="EXPLICIT",
    )
    assert payload["userErrors"] == []
    contract = payload["contract"]
    bare = {
        "startingAt": None, "endingBefore": None, "entitled": None, "priority": None, "anyTags": [], "product": None,
        "change": None, "specifiers": [],
    }  # fmt: skip
    reach = {"tags": [], "product": {"name": "Tokens"}, "pricing": region["pricing"], "presentation": []}
    assert contract["overridePriority"] == "EXPLICIT"
    assert contract["overrides"] == [
        {**bare, "priority": 2, "startingAt": NOVEMBER, "endingBefore": "2026-12-01T00:00:00Z",
         "change": {"__typename": "PriceMultiplier", "multiplier": "0.5"}},
        {**bare, "priority": 1, "anyTags": ["core", "gpu"],
         "change": {"__typename": "PriceTieredMultiplier",
                    "tiers": [{"size": "10", "multiplier": "0.8"}, {"size": None, "multiplier": "0.7"}]}},
        {**bare, "specifiers": [reach],
         "change": {"__typename": "PriceOverwrite", "price": {"unitPrice": "0.25"}}},
        {**bare, "entitled": False, "product": {"name": "Calls"}},
    ]  # fmt: skip


REFUSED: list[tuple[dict[str, Any], str, list[str]]] = [
    ({}, "REQUIRED", []),
    ({"change": {"multiplier": "-0.1"}}, "MULTIPLIER_NEGATIVE", ["change"]),
    ({"change": {"overwrite": {"flat": "1"}}}, "OVERWRITE_NEEDS_PRODUCT", []),
    ({"change": {"overwrite": {"flat": "1"}}, "anyTags": ["core"]}, "OVERWRITE_NEEDS_PRODUCT", []),
    ({"change": {"overwrite": {"flat": "1"}}, "productId": "tokens"}, "OVERWRITE_NEEDS_PRODUCT", []),
    ({"change": {"overwrite": {"flat": "1"}}, "specifiers": [{"tags": ["core"]}]}, "OVERWRITE_NEEDS_PRODUCT", []),
    ({"change": {"overwrite": {"flat": "-1"}}, "productId": "calls"}, "INVALID", ["change", "overwrite"]),
    ({"change": BY_TIER}, "TIERED_NEEDS_EXPLICIT", ["change", "tiered"]),
    ({"change": {"tiered": []}}, "INVALID", ["change", "tiered"]),
    ({"change": {"tiered": [{"size": "0", "multiplier": "1"}]}}, "INVALID", ["change", "tiered"]),
    ({"change": {"tiered": [{"multiplier": "-1"}]}}, "MULTIPLIER_NEGATIVE", ["change"]),
    ({"change": HALF, "productId": "stranger"}, "PRODUCT_NOT_ON_CARD", ["productId"]),
    ({"change": HALF, "specifiers": [{"productId": "stranger"}]}, "PRODUCT_NOT_ON_CARD", ["specifiers", "0", "productId"]),
    ({"change": HALF, "specifiers": [{}]}, "REQUIRED", ["specifiers", "0"]),
    ({"change": HALF, "productId": "calls", "anyTags": ["core"]}, "INVALID", []),
    ({"change": HALF, "anyTags": ["core", "core"]}, "INVALID", ["anyTags"]),
    ({"change": HALF, "priority": 0}, "INVALID", ["priority"]),
    ({"change": HALF, "startingAt": "2026-11-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
    ({"change": HALF, "startingAt": NOVEMBER, "endingBefore": NOVEMBER}, "INVALID_INTERVAL", ["endingBefore"]),
    (
        {"change": HALF, "specifiers": [{"productId": "calls", "presentation": [{"key": "team", "value": "a"}]}]},
        "INVALID", ["specifiers", "0", "presentation"],
    ),
    (
        {"change": HALF, "specifiers": [{"pricing": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}]},
        "INVALID", ["specifiers", "0", "pricing"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "code", "path"), REFUSED)
async def test_overrides_that_are_refused(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:
    named = {"tokens": deal.tokens["id"], "calls": deal.calls["id"], "stranger": deal.stranger["id"]}
    filled = {**fields}
    if "productId" in fields:
        filled["productId"] = named[fields["productId"]]
    filled["specifiers"] = [
        {**item, **({"productId": named[item["productId"]]} if "productId" in item else {})}
        for item in fields.get("specifiers", [])
    ]
    payload = await deal.sign({"change": HALF}, filled)
    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", "overrides", "1", *path]), error["message"]
    assert payload["contract"] is None
    assert await deal.api("{ contracts { nodes { id } } }") == {"contracts": {"nodes": []}}


async def test_with_explicit_priorities_every_multiplier_has_one(deal: Deal) -> None:
    payload = await deal.sign({"change": HALF}, overridePriority="EXPLICIT")
    assert [(error["code"], error["path"][-1]) for error in payload["userErrors"]] == [
        ("PRIORITY_REQUIRED", "priority")
    ]


async def test_an_overwrite_without_values_where_prices_do_not_differ_by_them(deal: Deal) -> None:
    payload = await deal.sign({"change": {"overwrite": {"flat": "1"}}, "productId": deal.calls["id"]})
    assert payload["userErrors"] == []


async def test_too_many_overrides(deal: Deal) -> None:
    payload = await deal.sign(*({"change": HALF} for _ in range(501)))
    assert [error["code"] for error in payload["userErrors"]] == ["LIMIT_EXCEEDED"]
