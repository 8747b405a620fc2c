"""Price lists laid flat over GraphQL: of a rate card over time, and of a contract at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

SEGMENTS = """
query ($id: ID!, $start: DateTime!, $end: DateTime, $selectors: [RateSelectorInput!], $first: Int! = 50, $after: String) {
  rateCard(id: $id) {
    rateSchedule(startingAt: $start, endingBefore: $end, selectors: $selectors, first: $first, after: $after) {
      nodes { product { id name tags } groupValues { key value } startingAt endingBefore entitled currency
        price { ... on FlatPrice { unitPrice } } }
      totalCount pageInfo { hasNextPage endCursor } } }
}
"""
ROWS = """
query ($id: ID!, $at: DateTime, $selectors: [RateSelectorInput!], $first: Int! = 50, $after: String) {
  contract(id: $id) { rateSchedule(at: $at, selectors: $selectors, first: $first, after: $after) {
    nodes { productName product { name } groupValues { value } currency override { id }
      listPrice { ... on FlatPrice { unitPrice } }
      overridePrice { ... on FlatPrice { unitPrice } ... on TieredPrice { tiers { size unitPrice } } } }
    totalCount pageInfo { hasNextPage endCursor } } }
}
"""
SINCE = "2020-01-01T00:00:00Z"
DECEMBER, JANUARY = "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"


class Prices:
    """Tokens by region and model, Calls for all; December has another price for Calls, and for tokens in Europe."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self) -> Prices:
        api = self.api
        self.tokens = await build.product(api, "Tokens", key=["model", "region"], tags=["llm", "beta"])
        self.calls = await build.product(api, "Calls", tags=["api"])
        eu, us = (build.pairs({"model": "big", "region": region}) for region in ("eu", "us"))
        card = await build.rate_card(
            api,
            rates=[
                build.rate(self.tokens["id"], "2", groupValues=eu),
                build.rate(self.tokens["id"], "3", groupValues=us, startingAt=DECEMBER),
                build.rate(self.tokens["id"], "1"),
                build.rate(self.calls["id"], "10"),
                build.rate(self.calls["id"], "12", startingAt=DECEMBER, endingBefore=JANUARY),
                build.rate(self.tokens["id"], "2", groupValues=eu, startingAt=DECEMBER),
            ],
        )
        self.card = card["id"]
        return self

    async def segments(self, start: str = SINCE, **variables: Any) -> list[str]:
        found = (await self.api(SEGMENTS, id=self.card, start=start, **variables))["rateCard"]["rateSchedule"]
        return [row_of(node) for node in found["nodes"]]


def row_of(node: dict[str, Any]) -> str:
    values = ",".join(pair["value"] for pair in node["groupValues"])
    bounds = "..".join((node[name] or "")[:7] for name in ("startingAt", "endingBefore"))
    return f"{node['product']['name']} {values} {bounds} {node['price']['unitPrice']}"


@pytest.fixture
async def prices(api: Api) -> Prices:
    return await Prices(api).made()


WHOLE = [
    "Calls  ..2026-12 10",
    "Calls  2026-12..2027-01 12",
    "Calls  2027-01.. 10",
    "Tokens  .. 1",
    "Tokens big,eu .. 2",
    "Tokens big,us 2026-12.. 3",
]


async def test_a_card_shows_all_segments_in_its_order(prices: Prices) -> None:
    assert await prices.segments() == WHOLE
    assert await prices.segments(JANUARY) == [WHOLE[2], *WHOLE[3:]]
    assert await prices.segments(end=DECEMBER) == [WHOLE[0], *WHOLE[3:5]]
    order = (
        "mutation ($id: ID!, $p: [ID!]!) { rateCardSetProductOrder(id: $id, productIds: $p) { userErrors { code } } }"
    )
    await prices.api(order, id=prices.card, p=[prices.tokens["id"]])
    assert await prices.segments() == [*WHOLE[3:], *WHOLE[:3]]


async def test_a_row_carries_product_values_and_unit(prices: Prices) -> None:
    found = await prices.api(
        SEGMENTS, id=prices.card, start=SINCE, selectors=[{"pricing": build.pairs({"model": "big", "region": "us"})}]
    )
    assert found["rateCard"]["rateSchedule"]["nodes"] == [
        {
            "product": {"id": prices.tokens["id"], "name": "Tokens", "tags": ["llm", "beta"]},
            "groupValues": [{"key": "model", "value": "big"}, {"key": "region", "value": "us"}],
            "startingAt": DECEMBER, "endingBefore": None, "entitled": True, "currency": "USD",
            "price": {"unitPrice": "3"},
        }
    ]  # fmt: skip


async def test_selectors_are_alternatives_and_hold_whole(prices: Prices) -> None:
    calls, tokens = prices.calls["id"], prices.tokens["id"]
    eu = build.pairs({"region": "eu"})
    for selectors, expected in [
        ([{"productId": calls}], WHOLE[:3]),
        ([{"anyTags": ["api", "llm"]}], WHOLE),
        ([{"anyTags": ["beta"]}], WHOLE[3:]),
        ([{"productId": calls, "anyTags": ["beta"]}], []),
        ([{"partialPricing": eu}], WHOLE[4:5]),
        ([{"pricing": eu}], []),
        ([{"productId": tokens, "pricing": []}], WHOLE[3:4]),
        ([{"partialPricing": eu}, {"productId": calls}], [*WHOLE[:3], WHOLE[4]]),
    ]:
        assert await prices.segments(selectors=selectors) == expected, selectors


@pytest.mark.parametrize(("document", "whole"), [(SEGMENTS, WHOLE), (ROWS, ["Calls", "Tokens", "Tokens"])])
async def test_schedules_come_in_pages(prices: Prices, document: str, whole: Sequence[str]) -> None:
    signed = await build.contract(prices.api, None, prices.card)
    variables = {"id": prices.card, "start": SINCE} if document == SEGMENTS else {"id": signed["id"]}
    seen: list[str] = []
    after = None
    while True:
        [shown] = (await prices.api(document, **variables, first=2, after=after)).values()
        page = shown["rateSchedule"]
        seen += [row_of(node) if document == SEGMENTS else node["productName"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert (seen, page["totalCount"]) == (list(whole), len(whole))


async def test_schedules_that_are_refused(prices: Prices) -> None:
    for variables, path in [
        ({"end": SINCE}, "endingBefore"),
        ({"selectors": [{"productId": "nonsense"}]}, "selectors"),
        ({"selectors": [{}] * 51}, "selectors"),
    ]:
        [error] = await prices.api.errors(SEGMENTS, id=prices.card, start=SINCE, **variables)
        assert error["extensions"]["argument"][0] == path


async def test_rates_in_force_at_an_instant(prices: Prices) -> None:
    document = """
    query ($id: ID!, $at: DateTime) { rateCard(id: $id) { rates(at: $at) { totalCount nodes {
      product { name } groupValues { value } price { ... on FlatPrice { unitPrice } } } } } }
    """

    async def at(instant: str | None) -> list[str]:
        found = (await prices.api(document, id=prices.card, at=instant))["rateCard"]["rates"]
        assert found["totalCount"] == len(found["nodes"])
        return [
            f"{node['product']['name']} {','.join(pair['value'] for pair in node['groupValues'])} {node['price']['unitPrice']}"
            for node in found["nodes"]
        ]

    assert await at("2026-11-15T00:00:00Z") == ["Tokens big,eu 2", "Tokens  1", "Calls  10"]
    assert await at(DECEMBER) == ["Tokens big,us 3", "Tokens  1", "Calls  12", "Tokens big,eu 2"]
    assert await at(JANUARY) == ["Tokens big,us 3", "Tokens  1", "Calls  10", "Tokens big,eu 2"]
    assert len(await at(None)) == 6


async def rows(api: Api, contract_id: str, **variables: Any) -> list[dict[str, Any]]:
    return (await api(ROWS, id=contract_id, **variables))["contract"]["rateSchedule"]["nodes"]


async def test_a_contract_shows_what_it_pays(prices: Prices) -> None:
    tokens, calls = prices.tokens["id"], prices.calls["id"]
    signed = await build.contract(
        prices.api,
        None,
        prices.card,
        overrides=[
            {"change": {"multiplier": "0.5"}, "anyTags": ["llm"]},
            {"change": {"overwrite": {"flat": "9"}}, "productId": calls, "startingAt": DECEMBER},
            {
                "change": {"overwrite": {"flat": "4"}},
                "specifiers": [{"productId": tokens, "pricing": build.pairs({"model": "old", "region": "eu"})}],
            },
        ],
    )

    def shown(found: list[dict[str, Any]]) -> list[tuple[str, str, str, str | None]]:
        return [
            (
                row["productName"],
                ",".join(pair["value"] for pair in row["groupValues"]),
                row["listPrice"]["unitPrice"],
                row["overridePrice"] and row["overridePrice"]["unitPrice"],
            )
            for row in found
        ]

    november = await rows(prices.api, signed["id"])
    assert shown(november) == [
        ("Calls", "", "10", None),
        ("Tokens", "", "1", "0.5"),
        ("Tokens", "big,eu", "2", "1"),
        ("Tokens", "old,eu", "1", "4"),
    ]
    listed = await prices.api("query ($id: ID!) { contract(id: $id) { overrides { id } } }", id=signed["id"])
    half, nine, four = (override["id"] for override in listed["contract"]["overrides"])
    assert [row["override"] and row["override"]["id"] for row in november] == [None, half, half, four]
    december = await rows(prices.api, signed["id"], at=DECEMBER, selectors=[{"productId": calls}])
    assert shown(december) == [("Calls", "", "12", "9")]
    assert december[0]["override"] == {"id": nine}
    assert (december[0]["product"], december[0]["currency"]) == ({"name": "Calls"}, "USD")


async def test_a_contract_shows_only_what_it_is_entitled_to(prices: Prices) -> None:
    signed = await build.contract(prices.api, None, prices.card, overrides=[{"entitled": False, "anyTags": ["llm"]}])
    assert [row["productName"] for row in await rows(prices.api, signed["id"])] == ["Calls"]


async def test_a_tiered_multiplier_shows_as_tiers(prices: Prices) -> None:
    tiers = [{"size": "5", "multiplier": "0.8"}, {"size": "5", "multiplier": "0.7"}]
    signed = await build.contract(
        prices.api,
        None,
        prices.card,
        overridePriority="EXPLICIT",
        overrides=[{"change": {"tiered": tiers}, "productId": prices.calls["id"], "priority": 1}],
    )
    found = await rows(prices.api, signed["id"], selectors=[{"anyTags": ["api"]}])
    assert [row["overridePrice"] for row in found] == [
        {"tiers": [{"size": "5", "unitPrice": "8"}, {"size": "5", "unitPrice": "7"}, {"size": None, "unitPrice": "10"}]}
    ]


async def test_a_contract_without_a_card_has_no_prices(api: Api) -> None:
    customer = await build.customer(api)
    made = await build.attempt(
        api, "contract", customerId=customer["id"], currency="EUR", interval=build.interval(DECEMBER)
    )
    assert await rows(api, made["contract"]["id"]) == []


async def test_a_customer_sees_its_prices_and_not_the_catalog(prices: Prices) -> None:
    signed = await build.contract(prices.api, None, prices.card)
    own = await prices.api.with_scopes("contracts:read", "catalog:read", customerId=signed["customer"]["id"])
    shown = await rows(own, signed["id"], selectors=[{"productId": prices.calls["id"]}])
    assert [(row["productName"], row["product"], row["listPrice"]["unitPrice"]) for row in shown] == [
        ("Calls", None, "10")
    ]


async def test_rows_carry_labels_custom_fields_and_minimum(api: Api) -> None:
    key = 'mutation { customFieldKeyAdd(input: {entity: PRODUCT, key: "sku"}) { userErrors { code } } }'
    assert (await api(key))["customFieldKeyAdd"]["userErrors"] == []
    made = await build.attempt(
        api, "product", name="Fee", type="COMPOSITE", composite={"tags": ["llm"]}, tags=["fee"],
        customFields=build.pairs({"sku": "F-1"}),
    )  # fmt: skip
    rate = {"productId": made["product"]["id"], "price": {"percentage": "0.1"}, "minimum": "25"}
    card = await build.rate_card(api, rates=[rate])
    contract = await build.contract(api, None, card["id"])
    document = """
    query ($card: ID!, $contract: ID!, $at: DateTime!) {
      rateCard(id: $card) { rateSchedule(startingAt: $at) { nodes { minimum product { tags customFields { key value } } } } }
      contract(id: $contract) { rateSchedule { nodes { minimum productTags productCustomFields { key value } } } } }
    """
    found = await api(document, card=card["id"], contract=contract["id"], at=SINCE)
    fields = build.pairs({"sku": "F-1"})
    assert found["rateCard"]["rateSchedule"]["nodes"] == [
        {"minimum": "25", "product": {"tags": ["fee"], "customFields": fields}}
    ]
    assert found["contract"]["rateSchedule"]["nodes"] == [
        {"minimum": "25", "productTags": ["fee"], "productCustomFields": fields}
    ]
