"""Usage that is taken back: as if it had never come, while nobody was billed for it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from app.catalog.tables import MetricRow
from app.store.engine import Store
from app.store.ids import from_text
from app.usage.buckets import backfill, fold_all
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized, seller
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]

VOID = """
mutation ($input: UsageVoidInput!) { usageVoid(input: $input) {
  voided alreadyVoided userErrors { code message path status conflicting { id } } } }
"""
SEARCH = """
query ($ids: [String!]!) { usageEvents(transactionIds: $ids) {
  nodes { transactionId voidedAt voidReason matchedMetrics { isCounted } } } }
"""
METRICS: dict[str, dict[str, Any]] = {
    "COUNT": {"aggregationKey": None},
    "SUM": {},
    "MAX": {},
    "UNIQUE": {},
    "LATEST": {},
    "SESSION_COUNT": {"aggregationKey": None, "session": {"key": ["n"], "window": "PT2H"}},
    "COUNT_LATEST": {
        "aggregationKey": None,
        "latestState": {"entityProperty": "case", "stateProperty": "n", "countedStates": ["1", "2"]},
    },
}


async def void(api: Api, *ids: str, reason: str = "sent twice") -> dict[str, Any]:
    return (await api(VOID, input={"transactionIds": list(ids), "reason": reason}))["usageVoid"]


async def test_voided_usage_counts_nowhere_and_its_id_stays_taken(api: Api, store: Store) -> None:
    made = await seller(api)
    await fold_all(store)
    await ingest(api, event("5", properties={"n": "4", "region": "us"}))
    # One of them is in the hours by now, the other is not.
    assert await void(api, "4", "5") == {"voided": 2, "alreadyVoided": 0, "userErrors": []}
    assert await void(api, "4", "5") == {"voided": 0, "alreadyVoided": 2, "userErrors": []}
    [_, november] = await drafts_of(api, contract=made["contract"]["id"])
    assert november["total"]["amount"] == "0"
    again = await ingest(api, event("4", timestamp="2026-11-01T10:00:00Z", properties={"n": "1", "region": "us"}))
    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (0, 1, [])
    found = (await api(SEARCH, ids=["3", "4"]))["usageEvents"]["nodes"]
    assert [(item["transactionId"], item["voidReason"], item["matchedMetrics"]) for item in found] == [
        ("3", None, [{"isCounted": True}]),
        ("4", "sent twice", [{"isCounted": False}]),
    ]
    assert found[1]["voidedAt"] == "2026-11-02T12:00:00Z"
    async with store.transaction() as session:
        entry = await session.execute(
            text("select action, after from audit_entries where action = 'usage.void' limit 1")
        )
        assert entry.one() == ("usage.void", {"voided": ["4", "5"], "reason": "sent twice"})


async def test_what_was_billed_stays(api: Api) -> None:
    made = await seller(api)
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    final = await finalized(api, october["id"])
    refused = await void(api, "4", "1")
    [error] = refused["userErrors"]
    assert (error["code"], error["path"], error["status"]) == (
        "ALREADY_FINALIZED",
        ["input", "transactionIds", "1"],
        409,
    )
    assert error["conflicting"] == {"id": final["id"]}
    assert refused["voided"] == 0
    [november] = [item for item in await drafts_of(api, contract=made["contract"]["id"]) if item["status"] == "DRAFT"]
    assert november["total"]["amount"] == "0.5", "all or none"
    mutation = 'mutation ($id: ID!) { invoiceVoid(id: $id, reason: "wrong") { userErrors { code } } }'
    assert (await api(mutation, id=final["id"]))["invoiceVoid"]["userErrors"] == []
    assert (await void(api, "4", "1"))["voided"] == 2, "of a void invoice nobody pays"


@pytest.mark.parametrize(
    ("ids", "reason", "code", "path"),
    [
        ([], "why", "REQUIRED", ["input", "transactionIds"]),
        (["1", "1"], "why", "INVALID", ["input", "transactionIds"]),
        (["1", "never"], "why", "NOT_FOUND", ["input", "transactionIds", "1"]),
        ([str(number) for number in range(101)], "why", "LIMIT_EXCEEDED", ["input", "transactionIds"]),
        (["x" * 257], "why", "INVALID", ["input", "transactionIds"]),
        (["1"], " ", "REASON_REQUIRED", ["input", "reason"]),
        (["1"], "x" * 501, "REASON_REQUIRED", ["input", "reason"]),
    ],
)
async def test_what_is_refused_changes_nothing(
    api: Api, ids: list[str], reason: str, code: str, path: list[str]
) -> None:
    assert (await ingest(api, event("1")))["accepted"] == 1
    answer = await void(api, *ids, reason=reason)
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [(code, path)]
    assert (await void(api, "1"))["voided"] == 1, "usage of a reference that nobody holds can be taken back as well"


async def test_it_is_as_if_it_had_never_come(api: Api, store: Store) -> None:
    """For every aggregation, folded or not, and while the buckets of a metric are still to be filled."""
    random = Random(5)
    customers = [await build.customer(api, name, ingestAliases=[name]) for name in ("kept", "cleaned")]
    properties = [
        {"n": str(random.randrange(4)), "case": random.choice("ab"), "region": random.choice(["eu", "us"])}
        for _ in range(60)
    ]
    hours = [f"2026-11-01T{random.randrange(24):02}:{random.randrange(60):02}:00Z" for _ in properties]
    gone = set(random.sample(range(60), 25))

    def sent(name: str, places: list[int]) -> list[dict[str, Any]]:
        return [
            event(f"{name} {place}", customerId=name, timestamp=hours[place], properties=properties[place])
            for place in places
        ]

    async def send(places: range) -> None:
        await ingest(api, *sent("cleaned", list(places)))
        await ingest(api, *sent("kept", [place for place in places if place not in gone]))

    rates: list[dict[str, Any]] = []

    async def measured(name: str, aggregation: str) -> str:
        metric = await build.metric(api, name, aggregation=aggregation, groupKeys=[["region"]], **METRICS[aggregation])
        product = await build.product(api, name, metric_id=metric["id"], presentationGroupKey=["region"])
        rates.append(build.rate(product["id"], f"1.{len(rates) + 1}"))
        return metric["id"]

    for aggregation in METRICS:
        await measured(aggregation, aggregation)
    await send(range(20))
    await fold_all(store)
    late = from_text("metric", await measured("late", "SUM"), path=())
    await send(range(20, 60))
    card = await build.rate_card(api, rates=rates)
    contracts = [await build.contract(api, customer["id"], card["id"]) for customer in customers]
    for place in sorted(gone)[:12]:
        await void(api, f"cleaned {place}")
    async with store.transaction() as session:
        row = await session.get_one(MetricRow, late)
        assert not row.buckets_ready
        await backfill(session, late)
    await void(api, *(f"cleaned {place}" for place in sorted(gone)[12:]))
    kept, cleaned = [
        [(line["productName"], line["quantity"], line["amount"]) for line in draft["lines"]["nodes"]]
        for contract in contracts
        for draft in await drafts_of(api, contract=contract["id"])
    ]
    assert len(kept) >= 14
    assert cleaned == kept
