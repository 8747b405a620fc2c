"""Lines explain themselves through the API: price, override, balance, measuring, words, and the events behind them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.clock import Clock
from app.main import create_app
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, finalized
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

OCTOBER = build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
EXPLAINED = """
type explanation {
  inWords baseProducts
  rate { interval { startingAt } price { __typename } isCommitPrice listUnitPrice groupValues { key value } }
  override { change { ... on PriceMultiplier { multiplier } } commitSpecific override { id } }
  balance { segment interval { startingAt } granted { amount } available { amount currency } balance { name } }
  measured { metric { name } quantityConversion { factor } quantityRounding { decimalPlaces } }
  events(first: $first, after: $after) {
    nodes { transactionId timestamp receivedAt value properties isLate } pageInfo { hasNextPage endCursor } } }
"""
ONE = f"""query ($id: ID!, $first: Int! = 25, $after: String) {{
  invoice(id: $id) {{ lines {{ nodes {{ {EXPLAINED} }} }} }} }}"""
DRAFTS = "query ($id: ID!) { contract(id: $id) { drafts { id } } }"


async def sold(api: Api, **metric: Any) -> str:
    """Seven thousand tokens of one region and two of another, at half price, half paid by a credit; the draft's id."""
    found = await build.metric(api, groupKeys=[["region"]], **metric)
    tokens = await build.product(
        api, "Tokens", metric_id=found["id"], key=["region"],
        quantityConversion={"operation": "DIVIDE", "factor": "1000"},
    )  # fmt: skip
    card = await build.rate_card(api, rates=[build.rate(tokens["id"], "3")])
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z",
        overrides=[{"change": {"multiplier": "0.5"}, "productId": tokens["id"]}],
        balances=[{"kind": "CREDIT", "unit": "USD", "name": "Launch", "access": [{"amount": "6", **OCTOBER}]}],
    )  # fmt: skip
    await ingest(
        api,
        event("a", timestamp="2026-10-05T10:00:00Z", properties={"n": "4000", "region": "eu"}),
        event("b", timestamp="2026-10-05T10:00:00Z", properties={"n": "2500.5", "region": "eu"}),
        event("c", timestamp="2026-10-06T10:00:00Z", properties={"n": "499.5", "region": "eu"}),
        event("d", timestamp="2026-10-06T10:00:00Z", properties={"n": "2000", "region": "us"}),
        event("e", timestamp="2026-10-07T10:00:00Z", properties={"region": "eu"}),
    )
    return (await api(DRAFTS, id=contract["id"]))["contract"]["drafts"][0]["id"]


async def lines(api: Api, invoice: str, **page: Any) -> list[dict[str, Any]]:
    return (await api(ONE, id=invoice, **page))["invoice"]["lines"]["nodes"]


async def test_a_line_resolves_to_all_that_made_it(api: Api) -> None:
    invoice = await sold(api)
    shown = await lines(api, invoice)
    kinds = [line["type"] for line in shown]
    assert kinds == ["USAGE", "APPLIED", "USAGE", "USAGE"]
    paid, applied, *_ = [line["explanation"] for line in shown]
    assert paid["inWords"] == (
        "4 × Tokens (region “eu”), used from 1 October 2026 to 31 October 2026, measured by “tokens”, divided by 1,000. The "
        "list price is 3 USD each. An override of the contract multiplies it by 0.5. 4 × 1.5 = 6 USD. It is paid from the "
        "credit “Launch” (from 1 October 2026 to 31 October 2026), which another line takes off again."
    )
    assert (paid["rate"]["listUnitPrice"], paid["rate"]["interval"]) == ("3", None)
    assert paid["rate"]["price"] == {"__typename": "FlatPrice"}
    assert paid["override"]["change"] == {"multiplier": "0.5"}
    assert paid["balance"] == applied["balance"]
    assert paid["balance"]["available"] == {"amount": "6", "currency": "USD"}
    assert paid["balance"]["balance"] == {"name": "Launch"}
    assert paid["measured"] == {
        "metric": {"name": "tokens"}, "quantityConversion": {"factor": "1000"}, "quantityRounding": None
    }  # fmt: skip
    final = await finalized(api, invoice)
    assert await lines(api, final["id"]) == shown, "what was frozen says the same"


async def test_the_events_behind_a_line_in_pages(api: Api) -> None:
    invoice = await sold(api)
    _, _, eu, us = await lines(api, invoice)
    found = [(one["transactionId"], one["value"], one["isLate"]) for one in eu["explanation"]["events"]["nodes"]]
    assert sorted(found[:2]) == [("a", "4000", False), ("b", "2500.5", False)], "at one instant by the digest of the id"
    assert found[2:] == [("c", "499.5", False)], "one without a value does not count"
    assert [one["transactionId"] for one in us["explanation"]["events"]["nodes"]] == ["d"]
    after, paged = None, []
    while True:
        page = (await lines(api, invoice, first=1, after=after))[2]["explanation"]["events"]
        paged += [one["transactionId"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert paged == [name for name, _, _ in found]
    [error, *_] = await api.errors(ONE, id=invoice, first=0)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_events_that_came_after_the_invoice_are_marked(api: Api, settings: Any, store: Any, now: Any) -> None:
    final = await finalized(api, await sold(api))
    later = Api(create_app(settings, store, Clock((now + timedelta(days=1)).isoformat())))
    await ingest(later, event("f", timestamp="2026-10-20T10:00:00Z", properties={"n": "1", "region": "eu"}))
    shown = (await lines(api, final["id"]))[0]["explanation"]["events"]["nodes"]
    assert {one["transactionId"]: one["isLate"] for one in shown} == {"a": False, "b": False, "c": False, "f": True}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"aggregation": "UNIQUE", "aggregationKey": "n"}, {"a": "4000", "b": "2500.5", "c": "499.5"}),
        ({"aggregation": "COUNT", "aggregationKey": None}, {"a": "1", "b": "1", "c": "1", "e": "1"}),
        ({"aggregation": "MAX", "filters": [{"property": "n", "notIn": ["4000"]}]}, {"b": "2500.5", "c": "499.5"}),
    ],
)
async def test_what_counts_is_what_the_metric_counts(
    api: Api, metric: dict[str, Any], expected: dict[str, str]
) -> None:
    shown = await lines(api, await sold(api, **metric))
    eu = next(line for line in shown if "“eu”" in line["explanation"]["inWords"])
    assert {one["transactionId"]: one["value"] for one in eu["explanation"]["events"]["nodes"]} == expected


async def test_parts_ask_for_their_scopes(api: Api) -> None:
    invoice = await sold(api)
    reader = await api.with_scopes("invoices:read")
    words = "query ($id: ID!) { invoice(id: $id) { lines { nodes { explanation { inWords } } } } }"
    assert len((await reader(words, id=invoice))["invoice"]["lines"]["nodes"]) == 4
    for part, scope in (
        ("rate { rateId }", "catalog:read"), ("measured { metric { id } }", "catalog:read"),
        ("override { commitSpecific }", "contracts:read"), ("balance { segment }", "contracts:read"),
        ("events { nodes { value } }", "usage:read"),
    ):  # fmt: skip
        [error, *_] = await reader.errors(words.replace("inWords", part), id=invoice)
        assert error["extensions"]["requiredScope"] == scope
