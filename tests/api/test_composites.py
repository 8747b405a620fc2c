"""Percentages over GraphQL: composite products, metrics of money, and which price fits which product."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

CARD = """
query ($id: ID!) { rateCard(id: $id) { rates { nodes { price { __typename
  ... on PercentagePrice { fraction } ... on TieredPercentagePrice { tiers { size unitPrice } } } } } } }
"""
MONEY = {"currency": "USD"}


def percentage(product: dict[str, Any], price: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"productId": product["id"], "price": price or {"percentage": "1.5"}}


async def test_a_composite_product_and_its_prices_are_shown_as_given(api: Api) -> None:
    calls = await build.product(api, "Calls", tags=["core"])
    whole = {"productIds": [calls["id"]], "tags": ["core", "gpu"]}
    payload = await build.attempt(api, "product", name="Uplift", type="COMPOSITE", composite=whole)
    assert payload["userErrors"] == []
    uplift = payload["product"]
    shown = await api("query ($id: ID!) { product(id: $id) { composite { tags products { name } } } }", id=uplift["id"])
    assert shown["product"]["composite"] == {"tags": ["core", "gpu"], "products": [{"name": "Calls"}]}
    bands = {"tieredPercentage": [{"size": "100", "unitPrice": "0.1"}, {"unitPrice": "0.07"}]}
    card = await build.rate_card(api, rates=[percentage(uplift), percentage(uplift, bands)])
    prices = [node["price"] for node in (await api(CARD, id=card["id"]))["rateCard"]["rates"]["nodes"]]
    assert prices == [
        {"__typename": "PercentagePrice", "fraction": "1.5"},
        {
            "__typename": "TieredPercentagePrice",
            "tiers": [{"size": "100", "unitPrice": "0.1"}, {"size": None, "unitPrice": "0.07"}],
        },
    ]


@pytest.mark.parametrize(
    ("money", "aggregation", "code", "path"),
    [
        ({"currency": "USD"}, "COUNT", "INVALID", ["input", "money"]),
        ({"currencyProperty": "currency"}, "SUM", "INVALID", ["input", "money", "currencyProperty"]),
    ],
)
async def test_money_that_is_refused(
    api: Api, money: dict[str, str], aggregation: str, code: str, path: list[str]
) -> None:
    key = None if aggregation == "COUNT" else "n"
    error = await build.refusal(
        api, "billableMetric", name="m", aggregation=aggregation, aggregationKey=key, money=money
    )
    assert (error["code"], error["path"]) == (code, path), error["message"]


async def test_a_metric_of_money_is_shown_and_its_currency_decides_the_price(api: Api) -> None:
    metric = await build.metric(api, money={"currencyProperty": "currency"}, groupKeys=[["currency"]])
    shown = await api(
        "query ($id: ID!) { billableMetric(id: $id) { money { currency currencyProperty } } }", id=metric["id"]
    )
    assert shown["billableMetric"]["money"] == {"currency": None, "currencyProperty": "currency"}
    error = await build.refusal(api, "product", name="Fee", metricId=metric["id"])
    assert (error["code"], error["path"]) == ("INVALID", ["input", "pricingGroupKey"])
    fee = await build.product(api, "Fee", metric_id=metric["id"], key=["currency"])
    assert (await build.rate_card(api, rates=[percentage(fee)]))["rates"]["nodes"]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "REQUIRED", ["input", "composite"]),
        ({"composite": {}}, "REQUIRED", ["input", "composite"]),
        ({"composite": {"tags": ["core"]}, "pricingGroupKey": ["region"]}, "INVALID", ["input"]),
        ({"composite": {"tags": ["core", "core"]}}, "INVALID", ["input", "composite", "tags"]),
        ({"composite": {"productIds": ["prd_" + "0" * 32]}}, "NOT_FOUND", ["input", "composite", "productIds", "0"]),
        ({"composite": {"tags": ["core"]}, "type": "USAGE"}, "INVALID", ["input", "composite"]),
    ],
)
async def test_composite_products_that_are_refused(
    api: Api, fields: dict[str, Any], code: str, path: list[str]
) -> None:
    error = await build.refusal(api, "product", **{"name": "Uplift", "type": "COMPOSITE", **fields})
    assert (error["code"], error["path"]) == (code, path), error["message"]


async def test_a_percentage_of_a_percentage_is_refused(api: Api) -> None:
    first = (await build.attempt(api, "product", name="A", type="COMPOSITE", composite={"tags": ["core"]}))["product"]
    error = await build.refusal(api, "product", name="B", type="COMPOSITE", composite={"productIds": [first["id"]]})
    assert error["code"] == "INVALID"


async def test_prices_fit_their_products(api: Api) -> None:
    plain = await build.product(api)
    payload = await build.attempt(api, "product", name="Uplift", type="COMPOSITE", composite={"tags": ["core"]})
    for rate in (percentage(plain), build.rate(payload["product"]["id"])):
        error = await build.refusal(api, "rateCard", name="List", currency="USD", rates=[rate])
        assert (error["code"], error["path"]) == ("INVALID", ["input", "rates", "0", "price"]), error["message"]
    card = await build.rate_card(api, rates=[build.rate(plain["id"])])
    customer = await build.customer(api)
    error = await build.refusal(
        api, "contract", customerId=customer["id"], rateCardId=card["id"], interval=build.interval("2026-11-01T00:00:00Z"),
        overrides=[{"productId": plain["id"], "change": {"overwrite": {"percentage": "0.5"}}}],
    )  # fmt: skip
    assert error["path"] == ["input", "overrides", "0", "change", "overwrite"]


async def test_versions_of_what_nothing_measures_and_of_other_money(api: Api) -> None:
    add = "mutation ($id: ID!, $input: ProductVersionInput!) { productAddVersion(id: $id, input: $input) { userErrors { code path } } }"
    uplift = (await build.attempt(api, "product", name="A", type="COMPOSITE", composite={"tags": ["core"]}))["product"]
    plain, money = await build.product(api), await build.metric(api, "money", money=MONEY)
    for product, expected in ((uplift, ["id"]), (plain, ["input", "metricId"])):
        version = {"startingAt": "2026-11-10T00:00:00Z", "metricId": money["id"]}
        answer = await api(add, id=product["id"], input=version)
        assert answer["productAddVersion"]["userErrors"] == [{"code": "INVALID", "path": expected}]
