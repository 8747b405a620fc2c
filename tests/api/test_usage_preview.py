"""Previews of usage over GraphQL: what drafts would say, and nothing stored."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api

PREVIEW = """
query ($input: UsagePreviewInput!) { usagePreview(input: $input) { invoices {
  contract { name } servicePeriod { startingAt endingBefore } subtotal { amount currency }
  lines { nodes { productName quantity amount { amount } } } unratedUsage { quantity } } } }
"""
INGEST = "mutation ($events: [UsageEventInput!]!) { usageIngest(input: {events: $events}) { accepted } }"
NOVEMBER = build.interval("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
DAY_TWO = "2026-11-02T10:00:00Z"


class Deal:
    """Tokens at 1 and, measured by several metrics, further products at 10, 100 and 1000; 5 and 8 tokens were used."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self) -> Deal:
        rates = []
        for name, aggregation, price in (
            ("Tokens", "SUM", "1"), ("Peak", "MAX", "10"), ("Values", "UNIQUE", "100"), ("Level", "LATEST", "1000"),
        ):  # fmt: skip
            metric = await build.metric(self.api, name, aggregation=aggregation, groupKeys=[["region"]])
            product = await build.product(self.api, name, metric_id=metric["id"])
            rates.append(build.rate(product["id"], price))
        self.card = await build.rate_card(self.api, rates=rates)
        self.customer = await build.customer(self.api)
        events = [
            {"transactionId": n, "customerId": self.customer["id"], "eventType": "call", "timestamp": f"2026-11-02T0{n}:00:00Z",
             "properties": {"n": n, "region": "eu"}}
            for n in ("5", "8")
        ]  # fmt: skip
        assert (await self.api(INGEST, events=events))["usageIngest"] == {"accepted": 2}
        return self

    async def sign(self, name: str, **fields: Any) -> dict[str, Any]:
        return await build.contract(self.api, self.customer["id"], self.card["id"], name=name, **fields)

    async def preview(self, *ns: str, mode: str = "REPLACE", region: str = "eu") -> list[dict[str, Any]]:
        events = [{"eventType": "call", "timestamp": DAY_TWO, "properties": {"n": n, "region": region}} for n in ns]
        asked = {"customerId": self.customer["id"], "mode": mode, "events": events}
        return (await self.api(PREVIEW, input=asked))["usagePreview"]["invoices"]


@pytest.fixture
async def deal(api: Api) -> Deal:
    return await Deal(api).made()


def quantities(invoice: dict[str, Any]) -> dict[str, str]:
    return {line["productName"]: line["quantity"] for line in invoice["lines"]["nodes"]}


async def test_given_events_alone_or_after_those_that_are_stored(deal: Deal) -> None:
    await deal.sign("Main")
    [alone] = await deal.preview("2", "5")
    assert quantities(alone) == {"Tokens": "7", "Peak": "5", "Values": "2", "Level": "5"}
    assert alone["contract"] == {"name": "Main"}
    assert alone["servicePeriod"] == NOVEMBER
    assert alone["subtotal"] == {"amount": "5257", "currency": "USD"}
    [both] = await deal.preview("2", "5", mode="MERGE")
    assert quantities(both) == {"Tokens": "20", "Peak": "8", "Values": "3", "Level": "5"}


async def test_nothing_is_stored(deal: Deal, store: Store) -> None:
    contract = await deal.sign("Main")
    counts = "select (select count(*) from events), (select count(*) from ingest_batches), (select count(*) from audit_entries)"
    async with store.transaction() as session:
        before = (await session.execute(text(counts))).one()
    await deal.preview("1000", mode="MERGE")
    async with store.transaction() as session:
        assert (await session.execute(text(counts))).one() == before
    drafts = "query ($id: ID!) { contract(id: $id) { drafts { subtotal { amount } } } }"
    found = await deal.api(drafts, id=contract["id"])
    assert found["contract"]["drafts"] == [{"subtotal": {"amount": "8293"}}]


async def test_one_invoice_for_each_contract_in_force_and_its_filter(deal: Deal) -> None:
    await deal.sign("Europe", usageFilters=[{"key": "region", "values": ["eu"]}])
    await deal.sign("America", usageFilters=[{"key": "region", "values": ["us"]}])
    await deal.sign("Later", starting_at="2026-12-01T00:00:00Z")
    await deal.sign("Over", starting_at="2026-10-01T00:00:00Z", ending_before="2026-11-01T00:00:00Z")
    found = await deal.preview("2", region="us", mode="MERGE")
    assert [(invoice["contract"]["name"], quantities(invoice).get("Tokens")) for invoice in found] == [
        ("Europe", "13"),
        ("America", "2"),
    ]


async def test_an_event_without_a_time_happens_now_and_one_before_the_statement_does_not_count(deal: Deal) -> None:
    await deal.sign("Main")
    events = [
        {"eventType": "call", "properties": {"n": "1"}},
        {"eventType": "call", "properties": {"n": "50"}, "timestamp": "2026-10-31T23:00:00Z"},
    ]
    asked = {"customerId": deal.customer["id"], "events": events}
    [invoice] = (await deal.api(PREVIEW, input=asked))["usagePreview"]["invoices"]
    assert quantities(invoice)["Tokens"] == "1"


EVENT = {"eventType": "call", "timestamp": DAY_TWO}


@pytest.mark.parametrize(
    ("events", "code", "path"),
    [
        ([], "REQUIRED", ["events"]),
        ([EVENT] * 101, "LIMIT_EXCEEDED", ["events"]),
        ([EVENT, {**EVENT, "eventType": ""}], "INVALID", ["events", "1"]),
        ([{**EVENT, "timestamp": "2026-11-09T00:00:00Z"}], "EVENT_IN_FUTURE", ["events", "0"]),
        ([{**EVENT, "timestamp": "2026-01-01T00:00:00Z"}], "EVENT_TOO_OLD", ["events", "0"]),
        ([{**EVENT, "properties": []}], "INVALID", ["events", "0"]),
    ],
)
async def test_previews_that_are_refused(deal: Deal, events: list[Any], code: str, path: list[str]) -> None:
    asked = {"customerId": deal.customer["id"], "events": events}
    [error] = await deal.api.errors(PREVIEW, input=asked)
    assert (error["extensions"]["reason"], error["extensions"]["argument"]) == (code, ["input", *path])


async def test_only_so_many_stored_events_are_folded_again(deal: Deal, monkeypatch: pytest.MonkeyPatch) -> None:
    await deal.sign("Main")
    monkeypatch.setattr("app.usage.preview.MAX_STORED", 1)
    asked = {"customerId": deal.customer["id"], "mode": "MERGE", "events": [EVENT]}
    [error] = await deal.api.errors(PREVIEW, input=asked)
    assert (error["extensions"]["reason"], error["extensions"]["argument"]) == ("LIMIT_EXCEEDED", ["input", "mode"])


async def test_a_customers_own_token_previews_its_own_usage_only(deal: Deal) -> None:
    await deal.sign("Main")
    other = await build.customer(deal.api, "Other")
    own = await deal.api.with_scopes("invoices:read", "contracts:read", customerId=deal.customer["id"])
    found = await own(PREVIEW, input={"customerId": deal.customer["id"], "events": [EVENT]})
    assert len(found["usagePreview"]["invoices"]) == 1
    [error] = await own.errors(PREVIEW, input={"customerId": other["id"], "events": [EVENT]})
    assert error["extensions"]["reason"] == "NOT_FOUND"
