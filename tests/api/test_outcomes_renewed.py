"""Cases that a contract had billed are known to the contract that follows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]

OCTOBER, NOVEMBER = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"


def outcome(name: str, ticket: str, state: str, day: str) -> dict[str, Any]:
    properties = {"ticket": ticket, "state": state}
    return event(name, timestamp=f"2026-{day}T10:00:00Z", eventType="ticket", properties=properties)


def billed(invoice: dict[str, Any]) -> str:
    return invoice["subtotal"]["amount"]


@pytest.mark.parametrize("kind", ["RENEWAL", "SUPERSEDE"])
async def test_a_case_is_billed_once_and_taken_back_after_a_renewal(api: Api, kind: str) -> None:
    latest = {"entityProperty": "ticket", "stateProperty": "state", "countedStates": ["bot"]}
    metric = await build.metric(
        api, "tickets", aggregation="COUNT_LATEST", aggregationKey=None, eventTypes=["ticket"], latestState=latest
    )
    product = await build.product(api, "Resolved", metric_id=metric["id"])
    card = await build.rate_card(api, rates=[build.rate(product["id"]) | {"price": {"flat": "3"}}])
    customer = await build.customer(api, ingestAliases=["acme"])
    old = await build.contract(api, customer["id"], card["id"], starting_at=OCTOBER)
    await ingest(
        api,
        outcome("1", "T1", "bot", "10-05"),
        outcome("2", "T2", "bot", "10-06"),
        outcome("3", "T3", "human", "10-07"),
    )
    follows = {"fromContractId": old["id"], "type": kind}
    new = await build.contract(api, customer["id"], card["id"], starting_at=NOVEMBER, transition=follows)
    [october] = await drafts_of(api, contract=old["id"])
    assert billed(await finalized(api, october["id"])) == "6"
    # One that was billed is not billed again, one that was not is, and one that flips comes off.
    await ingest(api, outcome("4", "T1", "bot", "11-01"), outcome("5", "T3", "bot", "11-01"))
    [november] = await drafts_of(api, contract=new["id"])
    assert billed(november) == "3"
    await ingest(api, outcome("6", "T2", "human", "11-02"))
    [november] = await drafts_of(api, contract=new["id"])
    assert billed(november) == "0"
