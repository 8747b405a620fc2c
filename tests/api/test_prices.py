"""Kinds of price on a card: by volume and package, in units of the seller, with a commit price, with a minimum."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

PRICE = """
__typename ... on FlatPrice { unitPrice } ... on VolumePrice { tiers { size unitPrice } }
... on PackagePrice { size packagePrice } ... on PercentagePrice { fraction }
"""
SHOWN = f"""
query ($id: ID!) {{ rateCard(id: $id) {{ conversions {{ unit worth }}
  rates {{ nodes {{ unit minimum price {{ {PRICE} }} commitPrice {{ {PRICE} }} }} }} }} }}
"""
UNIT = """
mutation ($input: PricingUnitCreateInput!) { pricingUnitCreate(input: $input) {
  pricingUnit { id code name } userErrors { code path status conflicting { id } } } }
"""


async def unit(api: Api, code: str = "TOKENS", **fields: Any) -> dict[str, Any]:
    return (await api(UNIT, input={"code": code, "name": "Tokens", **fields}))["pricingUnitCreate"]


async def shown(api: Api, **fields: Any) -> dict[str, Any]:
    card = await build.rate_card(api, **fields)
    return (await api(SHOWN, id=card["id"]))["rateCard"]


async def test_volume_and_package_prices_come_back_as_given(api: Api) -> None:
    product = (await build.product(api))["id"]
    tiers = [{"size": "100", "unitPrice": "10"}, {"size": None, "unitPrice": "8"}]
    card = await shown(
        api,
        rates=[
            {"productId": product, "price": {"volume": tiers}},
            {"productId": product, "price": {"package": {"size": "1000", "packagePrice": "2.50"}}},
        ],
    )
    assert [rate["price"] for rate in card["rates"]["nodes"]] == [
        {"__typename": "VolumePrice", "tiers": tiers},
        {"__typename": "PackagePrice", "size": "1000", "packagePrice": "2.5"},
    ]


async def test_prices_in_units_of_the_seller_and_for_commits(api: Api) -> None:
    assert (await unit(api))["userErrors"] == []
    usage = (await build.product(api))["id"]
    uplift = await build.attempt(api, "product", name="Support", type="COMPOSITE", composite={"tags": ["core"]})
    card = await shown(
        api,
        conversions=[{"unit": "TOKENS", "worth": "0.10"}],
        rates=[
            build.rate(usage, "2", unit="TOKENS", commitPrice={"flat": "1.5"}),
            {"productId": uplift["product"]["id"], "price": {"percentage": "0.1"}, "minimum": "100"},
        ],
    )
    assert card["conversions"] == [{"unit": "TOKENS", "worth": "0.1"}]
    in_tokens, percentage = card["rates"]["nodes"]
    assert (in_tokens["unit"], in_tokens["commitPrice"]["unitPrice"]) == ("TOKENS", "1.5")
    assert (percentage["unit"], percentage["minimum"], percentage["commitPrice"]) == (None, "100", None)


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"unit": "TOKENS"}, "INVALID", ["unit"]),
        ({"minimum": "5"}, "INVALID", ["minimum"]),
        ({"commitPrice": {"percentage": "0.1"}}, "INVALID", ["commitPrice"]),
        ({"commitPrice": {"flat": "-1"}}, "INVALID", ["commitPrice"]),
        (
            {"commitPrice": {"tiered": [{"size": "5", "unitPrice": "1"}]}},
            "INVALID",
            ["commitPrice", "tiered", "0", "size"],
        ),
        ({"price": {"volume": [{"unitPrice": "1"}]}, "commitPrice": {"flat": "1"}}, "INVALID", ["commitPrice"]),
        ({"price": {"package": {"size": "0", "packagePrice": "1"}}}, "INVALID", ["price"]),
        ({"price": {"volume": []}}, "INVALID", ["price"]),
    ],
)
async def test_prices_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    product = await build.product(api)
    rate = {**build.rate(product["id"]), **fields}
    error = await build.refusal(api, "rateCard", name="List", currency="USD", rates=[rate])
    assert (error["code"], error["path"]) == (code, ["input", "rates", "0", *path]), error["message"]


async def test_a_product_stays_in_the_unit_of_its_first_price(api: Api) -> None:
    await unit(api)
    product = (await build.product(api))["id"]
    rates = [build.rate(product, unit="TOKENS"), build.rate(product)]
    conversions = [{"unit": "TOKENS", "worth": "1"}]
    error = await build.refusal(api, "rateCard", name="L", currency="USD", rates=rates, conversions=conversions)
    assert (error["code"], error["path"]) == ("UNIT_LOCKED", ["input", "rates", "1", "unit"])


@pytest.mark.parametrize(
    "conversions",
    [
        [{"unit": "TOKENS", "worth": "0"}],
        [{"unit": "TOKENS", "worth": "1"}, {"unit": "TOKENS", "worth": "2"}],
        [{"unit": "POINTS", "worth": "1"}],
        [{"unit": "USD", "worth": "1"}],
    ],
)
async def test_conversions_that_are_refused(api: Api, conversions: list[dict[str, str]]) -> None:
    await unit(api)
    error = await build.refusal(api, "rateCard", name="L", currency="USD", conversions=conversions)
    assert (error["code"], error["path"]) == ("INVALID", ["input", "conversions"])


@pytest.mark.parametrize("code", ["", "T", "tokens", "USD", "1A", "A" * 17, "TÖ"])
async def test_codes_that_no_unit_may_have(api: Api, code: str) -> None:
    answer = await unit(api, code)
    assert answer["pricingUnit"] is None
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [("INVALID", ["input", "code"])]


async def test_a_code_is_given_once(api: Api) -> None:
    first = await unit(api, uniquenessKey="k")
    for again, code in (({}, "ALIAS_TAKEN"), ({"uniquenessKey": "k"}, "UNIQUENESS_KEY_CONFLICT")):
        [error] = (await unit(api, **again))["userErrors"]
        assert (error["code"], error["status"], error["conflicting"]["id"]) == (code, 409, first["pricingUnit"]["id"])
    listed = await api("{ pricingUnits { nodes { code name } } }")
    assert listed["pricingUnits"]["nodes"] == [{"code": "TOKENS", "name": "Tokens"}]


UPDATE = """
mutation ($id: ID!, $input: RateCardUpdateInput!) { rateCardUpdate(id: $id, input: $input) {
  rateCard { name description conversions { unit worth } } userErrors { code path } } }
"""
ARCHIVE = """
mutation ($id: ID!) { pricingUnitArchive(id: $id) { pricingUnit { code archivedAt } userErrors { code path } } }
"""


async def test_a_card_is_renamed_and_converts_more_units(api: Api) -> None:
    for code in ("TOKENS", "POINTS"):
        await unit(api, code=code)
    card = await build.rate_card(api, conversions=[{"unit": "TOKENS", "worth": "0.1"}])
    fields = {"name": "New", "description": "For all", "addConversions": [{"unit": "POINTS", "worth": "2"}]}
    answer = (await api(UPDATE, id=card["id"], input=fields))["rateCardUpdate"]
    both = [{"unit": "POINTS", "worth": "2"}, {"unit": "TOKENS", "worth": "0.1"}]
    assert answer == {"rateCard": {"name": "New", "description": "For all", "conversions": both}, "userErrors": []}
    answer = (await api(UPDATE, id=card["id"], input={"description": "For some"}))["rateCardUpdate"]
    assert answer["rateCard"] == {"name": "New", "description": "For some", "conversions": both}
    usage = (await build.product(api))["id"]
    added = "mutation ($id: ID!, $rates: [RateInput!]!) { rateCardAddRates(id: $id, rates: $rates) { userErrors { code } } }"
    answer = await api(added, id=card["id"], rates=[build.rate(usage, "2", unit="POINTS")])
    assert answer["rateCardAddRates"]["userErrors"] == []


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "REQUIRED", ["input"]),
        ({"name": ""}, "REQUIRED", ["input", "name"]),
        ({"description": "x" * 2_001}, "INVALID", ["input", "description"]),
        ({"addConversions": [{"unit": "TOKENS", "worth": "0.2"}]}, "INVALID", ["input", "addConversions"]),
        ({"addConversions": [{"unit": "POINTS", "worth": "0"}]}, "INVALID", ["input", "addConversions"]),
        ({"addConversions": [{"unit": "POINTS", "worth": "1"}] * 2}, "INVALID", ["input", "addConversions"]),
        ({"addConversions": [{"unit": "NONE", "worth": "1"}]}, "INVALID", ["input", "addConversions"]),
    ],
)
async def test_updates_of_a_card_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    for name in ("TOKENS", "POINTS"):
        await unit(api, code=name)
    card = await build.rate_card(api, conversions=[{"unit": "TOKENS", "worth": "0.1"}])
    answer = (await api(UPDATE, id=card["id"], input=fields and {"name": "Other", **fields}))["rateCardUpdate"]
    assert answer == {"rateCard": None, "userErrors": [{"code": code, "path": path}]}
    shown_again = await api("query ($id: ID!) { rateCard(id: $id) { name conversions { unit worth } } }", id=card["id"])
    assert shown_again["rateCard"] == {"name": "List", "conversions": [{"unit": "TOKENS", "worth": "0.1"}]}


async def test_nothing_new_uses_an_archived_unit(api: Api) -> None:
    made = (await unit(api))["pricingUnit"]
    card = await build.rate_card(api, conversions=[{"unit": "TOKENS", "worth": "0.1"}])
    other = await build.rate_card(api, "Other")
    answer = (await api(ARCHIVE, id=made["id"]))["pricingUnitArchive"]
    assert (answer["pricingUnit"]["code"], answer["userErrors"]) == ("TOKENS", [])
    assert answer["pricingUnit"]["archivedAt"] is not None
    assert (await api(ARCHIVE, id=made["id"]))["pricingUnitArchive"]["userErrors"] == [
        {"code": "ARCHIVED", "path": ["id"]}
    ]
    nobody = made["id"].partition("_")[0] + "_" + "0" * 32
    assert (await api(ARCHIVE, id=nobody))["pricingUnitArchive"]["userErrors"] == [
        {"code": "NOT_FOUND", "path": ["id"]}
    ]
    worth = [{"unit": "TOKENS", "worth": "1"}]
    answer = (await api(UPDATE, id=other["id"], input={"addConversions": worth}))["rateCardUpdate"]
    assert answer["userErrors"] == [{"code": "ARCHIVED", "path": ["input", "addConversions"]}]
    year = build.interval("2026-11-01T00:00:00Z", "2027-11-01T00:00:00Z")
    balance = {"kind": "CREDIT", "unit": "TOKENS", "access": [{"amount": "5", **year}]}
    customer = await build.customer(api)
    error = await build.refusal(
        api, "contract", customerId=customer["id"], rateCardId=card["id"],
        interval=build.interval("2026-11-01T00:00:00Z"), balances=[balance],
    )  # fmt: skip
    assert error["code"] == "ARCHIVED"
    usage = (await build.product(api))["id"]
    added = "mutation ($id: ID!, $rates: [RateInput!]!) { rateCardAddRates(id: $id, rates: $rates) { userErrors { code } } }"
    answer = await api(added, id=card["id"], rates=[build.rate(usage, "2", unit="TOKENS")])
    assert answer["rateCardAddRates"]["userErrors"] == [], "a card that converts it goes on"
