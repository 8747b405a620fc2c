"""usageIngest: the same promises as the plain HTTP route, spoken in GraphQL."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.store.engine import Store
from tests import builders
from tests.api.conftest import Api

INGEST = """
mutation ($input: UsageIngestInput!) {
  usageIngest(input: $input) {
    accepted duplicates conflicts { index transactionId message } userErrors { code message path status }
  }
}
"""


def event(transaction_id: str, **changes: Any) -> dict[str, Any]:
    """Three tokens of acme on the first of November."""
    fields = {"customerId": "acme", "eventType": "call", "timestamp": "2026-11-01T10:00:00Z", "properties": {"n": "3"}}
    return {"transactionId": transaction_id, **fields, **changes}


async def ingest(api: Api, *events: dict[str, Any], **options: Any) -> dict[str, Any]:
    return (await api(INGEST, input={"events": list(events), **options}))["usageIngest"]


async def test_accepted_once_and_repeats_told_from_conflicts(api: Api) -> None:
    first = await ingest(api, event("a"), event("b"))
    assert first == {"accepted": 2, "duplicates": 0, "conflicts": [], "userErrors": []}
    again = await ingest(api, event("a"), event("b", properties={"n": "4"}), event("c"))
    assert (again["accepted"], again["duplicates"]) == (1, 2)
    [conflict] = again["conflicts"]
    assert (conflict["index"], conflict["transactionId"]) == (1, "b")
    assert "came before" in conflict["message"]


async def test_every_bad_event_is_named_and_nothing_is_stored(api: Api, store: Store) -> None:
    answer = await ingest(
        api,
        event("good"),
        event("", properties={}),
        event("old", timestamp="2026-09-01T00:00:00Z"),
        event("ahead", timestamp="2026-12-01T00:00:00Z"),
        event("list", properties=[1]),
    )
    assert (answer["accepted"], answer["duplicates"]) == (0, 0)
    assert [(error["code"], error["path"], error["status"]) for error in answer["userErrors"]] == [
        ("INVALID", ["input", "events", "1"], 400),
        ("EVENT_TOO_OLD", ["input", "events", "2"], 400),
        ("EVENT_IN_FUTURE", ["input", "events", "3"], 400),
        ("INVALID", ["input", "events", "4"], 400),
    ]
    async with store.transaction() as session:
        for table in ("event_ids", "events", "bucket_deltas", "ingest_batches"):
            assert (await session.execute(text(f"select count(*) from {table}"))).scalar_one() == 0, table


async def test_ingest_leaves_a_row_in_its_own_log_and_no_audit_entry(api: Api, store: Store) -> None:
    sender = await api.with_scopes("usage:write")
    before = await api("{ auditLog { totalCount } }")
    await ingest(sender, event("a"))
    assert await api("{ auditLog { totalCount } }") == before
    async with store.transaction() as session:
        [row] = await session.execute(text("select source, accepted, key_id is not null from ingest_batches"))
    assert tuple(row) == ("graphql", 1, True)
    await ingest(sender, event("bad", timestamp="2020-01-01T00:00:00Z"))
    found = await api('{ auditLog(filter: {action: ["usage.ingest"]}) { nodes { outcome code } } }')
    assert found["auditLog"]["nodes"] == [{"outcome": "refused", "code": "EVENT_TOO_OLD"}]


async def test_history_is_the_administrators(api: Api) -> None:
    old = event("old", timestamp="2023-11-16T18:17:03Z")
    sender = await api.with_scopes("usage:write")
    refused = await ingest(sender, old, allowHistorical=True)
    assert [(error["code"], error["path"]) for error in refused["userErrors"]] == [
        ("NOT_PERMITTED", ["input", "allowHistorical"])
    ]
    assert (await ingest(api, old, allowHistorical=True))["accepted"] == 1


@pytest.mark.parametrize(
    ("events", "code"),
    [([], "REQUIRED"), ([event(str(number)) for number in range(1_001)], None)],
)
async def test_batches_from_empty_to_large(api: Api, events: list[dict[str, Any]], code: str | None) -> None:
    answer = await ingest(api, *events)
    assert [error["code"] for error in answer["userErrors"]] == ([] if code is None else [code])
    assert answer["accepted"] == (len(events) if code is None else 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": "2026-11-01T10:00:00"},
        {"timestamp": "2026-11-01"},
        {"timestamp": 5},
        {"timestamp": None},
        {"transactionId": 7},
        {"customerId": None},
        {"unknown": 1},
    ],
)
async def test_what_is_no_event_at_all_is_a_bad_request(api: Api, changes: dict[str, Any]) -> None:
    response = await api.post(INGEST, {"input": {"events": [event("a", **changes)]}})
    assert response.status_code < 500
    assert response.json()["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")


async def test_numbers_arrive_to_the_last_digit(api: Api) -> None:
    """A number with a fraction is an exact decimal on its way, whether it is written as a string or as a number."""
    product = await builders.product(api)
    card = await builders.rate_card(api, rates=[builders.rate(product["id"])])
    customer = await builders.customer(api, ingestAliases=["acme"])
    contract = await builders.contract(api, customer["id"], card["id"])
    body = (
        '{"query": ' + f'"{" ".join(INGEST.split())}"' + ', "variables": {"input": {"events": ['
        '{"transactionId": "a", "customerId": "acme", "eventType": "call", "timestamp": "2026-11-01T10:00:00Z",'
        ' "properties": {"n": 0.1}},'
        '{"transactionId": "b", "customerId": "acme", "eventType": "call", "timestamp": "2026-11-01T10:00:00Z",'
        ' "properties": {"n": "0.20000000000000000000000000001"}}]}}}'
    )
    response = await api.http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert response.json()["data"]["usageIngest"]["accepted"] == 2
    drafts = await api("query ($id: ID!) { drafts(contractId: $id) { total { amount } } }", id=contract["id"])
    assert drafts["drafts"] == [{"total": {"amount": "0.30000000000000000000000000001"}}]
