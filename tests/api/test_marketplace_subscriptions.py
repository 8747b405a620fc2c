"""Subscriptions at marketplaces through the API: found while they wait, matched, and what would be lost first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette

from app.clock import Clock
from app.delivery.inbound import Place
from app.delivery.marketplaces import arrive, follow_all
from app.delivery.slot_alarms import closing
from app.main import create_app
from app.settings import Settings
from tests.api.conftest import Api
from tests.delivery.conftest import sandbox, sandbox_process, world
from tests.delivery.world import HOUR, NOON, World

__all__ = ["sandbox", "sandbox_process", "world"]

SUBSCRIPTION = """
id provider connection reference state providerStatus offer plan quantity activatedAt endedAt meteringUntil createdAt
updatedAt settings { key value } buyer { key value } contact { key value } lastError { code message hint }
customer { id name } billingConfiguration { provider isDefault settings { key value } }
"""
LIST = f"""query ($filter: MarketplaceSubscriptionFilter) {{
  marketplaceSubscriptions(filter: $filter) {{ totalCount nodes {{ {SUBSCRIPTION} }} }} }}"""
MATCH = f"""mutation ($input: MarketplaceSubscriptionMatchInput!) {{ marketplaceSubscriptionMatch(input: $input) {{
  marketplaceSubscription {{ {SUBSCRIPTION} }}
  userErrors {{ code path status conflicting {{ id }} }} }} }}"""
CUSTOMER = "mutation ($name: String!) { customerCreate(input: {name: $name}) { customer { id } } }"
UNPROVEN = """query ($only: Boolean!) { unprovenMeteringSlots(onlyAlarmed: $only) { totalCount nodes {
  hour status deadline secondsLeft alarm amount { amount } } } }"""


@pytest.fixture
def app(settings: Settings, world: World) -> Starlette:
    """The application on the seller's deployment."""
    return create_app(settings, world.store, Clock(str(world.sandbox.clock_file)), providers=world.connections)


@pytest.fixture
async def place(world: World) -> Place:
    """Where the jobs work."""
    return Place(world.store, world.connections, world.sandbox.now)


async def listed(api: Api, **filter: Any) -> list[dict[str, Any]]:
    return (await api(LIST, filter=filter))["marketplaceSubscriptions"]["nodes"]


async def matched(api: Api, subscription: str, customer: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    payload = (await api(MATCH, input={"id": subscription, "customerId": customer, "isDefault": True}))[
        "marketplaceSubscriptionMatch"
    ]
    return payload["marketplaceSubscription"], payload["userErrors"]


async def test_a_buyer_waits_is_matched_and_activated(api: Api, world: World, place: Place) -> None:
    bought = world.sandbox.http.post("/_sandbox/azure/subscriptions", json={"quantity": 5}).json()
    connection = world.connections.find("azure-sandbox")
    assert connection is not None
    await arrive(place, connection, bought["token"])
    [waiting] = await listed(api, isMatched=False, state=["PENDING"], provider=["azure_marketplace"])
    assert (waiting["customer"], waiting["plan"], waiting["quantity"]) == (None, "standard", "5")
    assert {"key": "purchaser", "value": "purchasing@contoso.example"} in waiting["buyer"]
    first, second = [(await api(CUSTOMER, name=name))["customerCreate"]["customer"]["id"] for name in ("a", "b")]

    found, errors = await matched(api, waiting["id"], first)
    assert errors == []
    assert found is not None
    assert (found["customer"]["name"], found["billingConfiguration"]["isDefault"]) == ("a", True)
    assert found["billingConfiguration"]["settings"] == found["settings"]
    assert (await matched(api, waiting["id"], first))[1] == [], "said twice is said once"
    _, [error] = await matched(api, waiting["id"], second)
    assert (error["code"], error["path"], error["conflicting"]["id"]) == (
        "ILLEGAL_TRANSITION", ["input", "id"], waiting["id"],
    )  # fmt: skip
    assert (await matched(api, "mps_" + "0" * 32, first))[1][0]["code"] == "NOT_FOUND"

    world.sandbox.http.post("/_sandbox/faults", json={"provider": "azure_marketplace", "kind": "refuse_500"})
    await follow_all(place)
    [shown] = await listed(api, customerId=first)
    assert (shown["state"], shown["lastError"]["code"]) == ("PENDING", "TRANSIENT")
    await follow_all(place)
    [shown] = await listed(api, isMatched=True)
    assert (shown["state"], shown["activatedAt"], shown["lastError"]) == ("ACTIVE", "2026-11-02T12:00:00Z", None)
    assert await listed(api, isMatched=False) == await listed(api, state=["ENDED"]) == []
    one = await api("query ($id: ID!) { marketplaceSubscription(id: $id) { reference } }", id=waiting["id"])
    assert one == {"marketplaceSubscription": {"reference": bought["subscription"]["id"]}}


async def test_what_would_be_lost_first_is_seen_while_there_is_time(api: Api, world: World) -> None:
    """12:00 the slot of 11:00 is sent and its answer lost; its window closes at 11:00 of the next day."""
    await world.account("aws_marketplace")
    await world.use(100, at=NOON - HOUR)
    world.sandbox.fault("aws_marketplace", "drop_before", times=None)
    steps = [
        (timedelta(0), "SENDING", 23 * 3600, "NONE"),
        (timedelta(hours=11, minutes=29), "SENDING", 11 * 3600 + 1860, "NONE"),
        (timedelta(hours=11, minutes=30), "SENDING", 11 * 3600 + 1800, "CLOSING"),
        (timedelta(hours=23), "NEEDS_ATTENTION", 0, "MISSED"),
    ]
    for step, status, left, alarm in steps:
        world.sandbox.set_clock(NOON + step)
        await world.sweep()
        [slot] = (await api(UNPROVEN, only=False))["unprovenMeteringSlots"]["nodes"]
        assert (slot["status"], slot["secondsLeft"], slot["alarm"]) == (status, left, alarm)
        assert (slot["deadline"], slot["amount"]["amount"]) == ("2026-11-03T11:00:00Z", "1")
        alarmed = (await api(UNPROVEN, only=True))["unprovenMeteringSlots"]["totalCount"]
        assert alarmed == (alarm != "NONE")
        async with world.store.transaction() as session:
            told = [(item.connection, item.slots) for item in await closing(session, now=world.now)]
        assert told == ([("aws-sandbox", 1)] if alarm == "CLOSING" else [])
