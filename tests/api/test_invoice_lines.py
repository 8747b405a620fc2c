"""Lines explain themselves: the override that set the price, the list price beside it, what the product was then."""

from __future__ import annotations

from typing import Any

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_custom_fields import add, put
from tests.api.test_invoices import app, finalized
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

LINES = """
lines { nodes { productName unitPrice listUnitPrice quantity productTags productCustomFields { key value }
  override { id change { __typename ... on PriceMultiplier { multiplier } ... on PriceOverwrite { __typename } } } } }
"""
ONE = f"query ($id: ID!) {{ invoice(id: $id) {{ status {LINES} }} }}"
DRAFTS = "query ($id: ID!) { contract(id: $id) { overrides { id } drafts { id } } }"
WINDOWS = f"query ($id: ID!) {{ invoice(id: $id) {{ breakdowns {{ nodes {{ {LINES.replace('lines { nodes {', 'lines {', 1).rstrip().removesuffix('}')} }} }} }} }}"


async def sold(api: Api) -> dict[str, Any]:
    """Ten tokens of October: five at 10 and five at 8 on the list, at half price; and calls at a price of their own."""
    await add(api, "sku", "PRODUCT")
    metric = (await build.metric(api))["id"]
    tokens = await build.product(
        api, "Tokens", metric_id=metric, tags=["llm", "gpu"], customFields=build.pairs({"sku": "T-1"})
    )
    calls, plain = [await build.product(api, name, metric_id=metric) for name in ("Calls", "Plain")]
    card = await build.rate_card(
        api,
        rates=[
            build.rate(tokens["id"], [("5", "10"), (None, "8")]),
            build.rate(calls["id"], "3"),
            build.rate(plain["id"], "7"),
        ],
    )
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z",
        overrides=[
            {"change": {"multiplier": "0.5"}, "anyTags": ["gpu"]},
            {"change": {"overwrite": {"flat": "1"}}, "productId": calls["id"]},
        ],
    )  # fmt: skip
    await ingest(api, event("1", timestamp="2026-10-05T10:00:00Z", properties={"n": "10"}))
    found = (await api(DRAFTS, id=contract["id"]))["contract"]
    return {
        "tokens": tokens["id"], "customer": customer["id"], "invoice": found["drafts"][0]["id"],
        "overrides": [override["id"] for override in found["overrides"]],
    }  # fmt: skip


async def lines(api: Api, identifier: str) -> list[dict[str, Any]]:
    return (await api(ONE, id=identifier))["invoice"]["lines"]["nodes"]


async def test_lines_name_the_override_and_the_list_price(api: Api) -> None:
    made = await sold(api)
    half, own = made["overrides"]
    for shown in (
        await lines(api, made["invoice"]),
        (await finalized(api, made["invoice"])) and await lines(api, made["invoice"]),
    ):
        assert [(line["productName"], line["listUnitPrice"], line["unitPrice"]) for line in shown] == [
            ("Calls", "3", "1"),
            ("Plain", "7", "7"),
            ("Tokens", "10", "5"),
            ("Tokens", "8", "4"),
        ]
        assert [line["override"] and line["override"]["id"] for line in shown] == [own, None, half, half]
        assert shown[2]["override"]["change"] == {"__typename": "PriceMultiplier", "multiplier": "0.5"}


async def test_labels_and_custom_fields_are_live_on_drafts_and_frozen_after(api: Api) -> None:
    made = await sold(api)
    tokens = (await lines(api, made["invoice"]))[2]
    assert (tokens["productTags"], tokens["productCustomFields"]) == (["llm", "gpu"], [{"key": "sku", "value": "T-1"}])
    await put(api, made["tokens"], sku="T-2")
    tokens = (await lines(api, made["invoice"]))[2]
    assert tokens["productCustomFields"] == [{"key": "sku", "value": "T-2"}]
    hashed = (await finalized(api, made["invoice"]))["contentHash"]
    await put(api, made["tokens"], sku="T-3")
    tokens = (await lines(api, made["invoice"]))[2]
    assert (tokens["productTags"], tokens["productCustomFields"]) == (["llm", "gpu"], [{"key": "sku", "value": "T-2"}])
    kept = await api("query ($id: ID!) { invoice(id: $id) { contentHash } }", id=made["invoice"])
    assert kept["invoice"]["contentHash"] == hashed


async def test_windows_explain_themselves_too(api: Api) -> None:
    made = await sold(api)
    for _ in range(2):
        [window] = (await api(WINDOWS, id=made["invoice"]))["invoice"]["breakdowns"]["nodes"]
        shown = [line for line in window["lines"] if line["productName"] == "Tokens"]
        assert [(line["listUnitPrice"], line["productTags"]) for line in shown] == [
            ("10", ["llm", "gpu"]),
            ("8", ["llm", "gpu"]),
        ]
        await finalized(api, made["invoice"])


async def test_a_customer_sees_its_override_and_not_the_sellers_labels(api: Api) -> None:
    made = await sold(api)
    own = await api.with_scopes("invoices:read", "contracts:read", customerId=made["customer"])
    tokens = (await lines(own, made["invoice"]))[2]
    assert (tokens["productTags"], tokens["productCustomFields"]) == ([], [])
    assert tokens["override"]["id"] == made["overrides"][0]
