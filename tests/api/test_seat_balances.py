"""Recurring balances that follow a subscription, through the API: pooled ones grow, seats have their own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_fees import NOVEMBER, Deal
from tests.api.test_usage_ingest import event, ingest

BALANCES = """
query ($customer: ID!) { balances(customerId: $customer) { nodes { seatId balance { amount }
  segments { amount { amount } interval { startingAt endingBefore } }
  ledger { nodes { type at amount { amount } } } } } }
"""
SEATS = """
mutation ($id: ID!, $input: SeatUpdateInput!) { subscriptionUpdateSeats(id: $id, input: $input) {
  userErrors { code message } } }
"""
QUANTITY = """
mutation ($id: ID!, $input: QuantityUpdateInput!) { subscriptionUpdateQuantity(id: $id, input: $input) {
  userErrors { code message } } }
"""
TODAY, DECEMBER = "2026-11-02T00:00:00Z", "2026-12-01T00:00:00Z"


def following(allocation: str, **fields: Any) -> dict[str, Any]:
    link = {"temporaryId": "seats", "allocation": allocation, **fields.pop("link", {})}
    return {"kind": "CREDIT", "unit": "USD", "accessAmount": {"unitPrice": "30"}, "subscription": link, **fields}


async def balances(api: Api, deal: Deal) -> list[dict[str, Any]]:
    return (await api(BALANCES, customer=deal.customer["id"]))["balances"]["nodes"]


async def changed(api: Api, mutation: str, subscription: dict[str, Any], **change: Any) -> None:
    [answer] = (await api(mutation, id=subscription["id"], input={"startingAt": TODAY, **change})).values()
    assert answer["userErrors"] == []


async def test_a_pooled_balance_grows_with_the_subscription(api: Api, store: Store, now: datetime) -> None:
    """Ten units at 30 from November 1; five more on the 2nd bring 29 of 30 days; a decrease takes nothing back."""
    deal = await Deal(api).made()
    for_tokens = following("POOLED", appliesTo={"productIds": [deal.tokens["id"]]})
    contract = await deal.signed(subscriptions=[deal.subscription(temporaryId="seats")], recurringBalances=[for_tokens])
    [balance] = await balances(api, deal)
    assert (balance["seatId"], balance["segments"][0]["amount"]) == (None, {"amount": "300"})
    await changed(api, QUANTITY, contract["subscriptions"][0], quantity="15")
    await changed(api, QUANTITY, contract["subscriptions"][0], quantity="2", startingAt="2026-11-02T01:00:00Z")
    await changed(api, QUANTITY, contract["subscriptions"][0], quantity="40", startingAt="2026-11-20T00:00:00Z")
    [balance] = await balances(api, deal)
    assert balance["ledger"]["nodes"] == [
        {"type": "CREDIT_SEGMENT_START", "at": NOVEMBER, "amount": {"amount": "300"}},
        {"type": "CREDIT_SEAT_BASED_ADJUSTMENT", "at": TODAY, "amount": {"amount": "145"}},
    ]
    assert balance["balance"] == {"amount": "445"}
    await assert_sound(store, now)
    shown = await api(
        "query ($id: ID!) { contract(id: $id) { recurringBalances { subscriptionId allocation prorateSeatIncreases } } }",
        id=contract["id"],
    )
    assert shown["contract"]["recurringBalances"] == [
        {"subscriptionId": contract["subscriptions"][0]["id"], "allocation": "POOLED", "prorateSeatIncreases": True}
    ]


async def test_every_seat_has_a_balance_for_its_own_usage(api: Api) -> None:
    """Ann and Bob begin with 30 each and a free seat brings nothing; Cid gets it on the 2nd, with 29 of 30 days."""
    deal = await Deal(api).made()
    metric = await build.metric(api, "by user", groupKeys=[["user"]])
    tokens = await build.product(api, "Per user", metric_id=metric["id"], presentationGroupKey=["user"])
    monthly = build.rate(deal.seats["id"], "30", billingFrequency="MONTHLY")
    deal.card = await build.rate_card(api, "Seats", rates=[monthly, build.rate(tokens["id"])])
    seats = {"groupKey": "user", "seatIds": ["ann", "bob"], "unassigned": 1}
    subscription = deal.subscription(temporaryId="seats", seats=seats)
    del subscription["initialQuantity"]
    contract = await deal.signed(subscriptions=[subscription], recurringBalances=[following("INDIVIDUAL")])
    await changed(api, SEATS, contract["subscriptions"][0], addSeatIds=["cid"])
    await changed(api, SEATS, contract["subscriptions"][0], removeSeatIds=["bob"], startingAt="2026-11-02T01:00:00Z")
    await changed(api, SEATS, contract["subscriptions"][0], addSeatIds=["bob"], startingAt="2026-11-02T02:00:00Z")
    for number, (user, amount) in enumerate((("ann", "12"), ("bob", "50"), ("dan", "7"))):
        await ingest(api, event(str(number), customerId=deal.customer["id"], timestamp="2026-11-02T05:00:00Z",
                                properties={"n": amount, "user": user}))  # fmt: skip
    found = {item["seatId"]: item for item in await balances(api, deal)}
    assert {seat: item["segments"][0]["amount"]["amount"] for seat, item in found.items()} == {
        "ann": "30", "bob": "30", "cid": "29",
    }  # fmt: skip
    assert found["cid"]["segments"][0]["interval"] == {"startingAt": TODAY, "endingBefore": DECEMBER}
    assert {seat: item["balance"]["amount"] for seat, item in found.items()} == {"ann": "18", "bob": "0", "cid": "29"}


@pytest.mark.parametrize(
    ("balance", "code", "path"),
    [
        (following("POOLED", link={"temporaryId": "other"}), "NOT_FOUND", ["temporaryId"]),
        (following("INDIVIDUAL"), "INVALID", ["allocation"]),
    ],
)
async def test_links_that_are_refused(api: Api, balance: dict[str, Any], code: str, path: list[str]) -> None:
    deal = await Deal(api).made()
    payload = await deal.sign(subscriptions=[deal.subscription(temporaryId="seats")], recurringBalances=[balance])
    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", "recurringBalances", "0", "subscription", *path])
