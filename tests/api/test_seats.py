"""Seats of subscriptions over GraphQL: shown, given, taken, billed, switched to, and refused by rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.test_fees import DECEMBER, NOVEMBER, OCTOBER, Deal, deal  # noqa: F401 - a fixture

SEATS = """
id quantity quantityManagement
seats { groupKey unassigned assigned { nodes { id } } history { nodes { startingAt added removed unassigned } } }
"""
CREATE = f"""
mutation ($input: ContractCreateInput!) {{ contractCreate(input: $input) {{
  contract {{ id subscriptions {{ {SEATS} }} }} userErrors {{ code path }} }} }}
"""
UPDATE = f"""
mutation ($id: ID!, $input: SeatUpdateInput!) {{ subscriptionUpdateSeats(id: $id, input: $input) {{
  subscription {{ {SEATS} }} userErrors {{ code path }} }} }}
"""
SWITCH = f"""
mutation ($id: ID!, $input: SeatSwitchInput!) {{ subscriptionSwitchToSeats(id: $id, input: $input) {{
  subscription {{ {SEATS} }} userErrors {{ code path }} }} }}
"""
QUANTITY = """
mutation ($id: ID!, $input: QuantityUpdateInput!) { subscriptionUpdateQuantity(id: $id, input: $input) {
  userErrors { code path } } }
"""
TENTH = "2026-10-10T00:00:00Z"


async def signed(deal: Deal, **fields: Any) -> dict[str, Any]:  # noqa: F811
    """A contract since October with one subscription."""
    whole = {
        "customerId": deal.customer["id"], "rateCardId": deal.card["id"],
        "interval": {"startingAt": OCTOBER, "endingBefore": "2027-10-01T00:00:00Z"},
        "subscriptions": [{**deal.subscription(**fields)}],
    }  # fmt: skip
    payload = (await deal.api(CREATE, input=whole))["contractCreate"]
    assert payload["userErrors"] == []
    return payload["contract"]


async def with_seats(deal: Deal) -> dict[str, Any]:  # noqa: F811
    seats = {"groupKey": "user", "seatIds": ["ann", "bob"], "unassigned": 1}
    return await signed(deal, initialQuantity=None, seats=seats)


async def change(api: Api, document: str, subscription: dict[str, Any], **fields: Any) -> dict[str, Any]:
    [payload] = (await api(document, id=subscription["id"], input=fields)).values()
    return payload


async def test_seats_are_given_taken_and_billed(deal: Deal) -> None:  # noqa: F811
    contract = await with_seats(deal)
    [subscription] = contract["subscriptions"]
    assert (subscription["quantity"], subscription["quantityManagement"]) == ("3", "SEAT_BASED")
    assert subscription["seats"] == {
        "groupKey": "user", "unassigned": 1, "assigned": {"nodes": [{"id": "ann"}, {"id": "bob"}]}, "history": {"nodes": []},
    }  # fmt: skip
    for fields in (
        {"addSeatIds": ["cy", "dee", "ann"], "startingAt": TENTH},  # one takes the free seat, one costs more
        {"removeSeatIds": ["bob", "nobody"], "startingAt": NOVEMBER},
        {"removeSeatIds": ["cy"], "addUnassigned": 1, "startingAt": NOVEMBER},
        {"removeUnassigned": 1, "startingAt": DECEMBER},
    ):
        payload = await change(deal.api, UPDATE, subscription, **fields)
        assert payload["userErrors"] == []
    after = payload["subscription"]
    assert (after["quantity"], after["seats"]["unassigned"]) == ("3", 1)
    assert after["seats"]["assigned"]["nodes"] == [{"id": "ann"}, {"id": "dee"}]
    assert after["seats"]["history"]["nodes"][2] == {
        "startingAt": NOVEMBER, "added": [], "removed": ["cy"], "unassigned": 1,
    }  # fmt: skip
    drafts = await deal.drafts(contract)
    fees = [(line["quantity"], line["amount"]["amount"]) for draft in drafts for line in draft["lines"]["nodes"]]
    # October 3 x 30, one more from the tenth (22 of 31 days), November 3, December 2
    assert fees == [("3", "90"), ("1", "21.290322580645"), ("3", "90"), ("2", "60")]


async def test_a_quantity_becomes_one_of_seats_and_stays_so(deal: Deal) -> None:  # noqa: F811
    [subscription] = (await signed(deal))["subscriptions"]
    assert (subscription["quantityManagement"], subscription["seats"]) == ("QUANTITY_ONLY", None)
    payload = await change(deal.api, SWITCH, subscription, startingAt=NOVEMBER, groupKey="user", seatIds=["ann"])
    assert payload["userErrors"] == []
    found = payload["subscription"]
    assert (found["quantity"], found["seats"]["unassigned"], found["seats"]["assigned"]["nodes"]) == (
        "10",
        9,
        [{"id": "ann"}],
    )
    again = await change(deal.api, SWITCH, subscription, startingAt=NOVEMBER, groupKey="user")
    assert [(error["code"], error["path"]) for error in again["userErrors"]] == [("ILLEGAL_TRANSITION", ["id"])]
    number = await change(deal.api, QUANTITY, subscription, startingAt=NOVEMBER, delta="1")
    assert [(error["code"], error["path"]) for error in number["userErrors"]] == [("INVALID", ["id"])]
    early = await change(deal.api, UPDATE, subscription, startingAt=TENTH, addSeatIds=["bob"])
    assert [(error["code"], error["path"]) for error in early["userErrors"]] == [
        ("INVALID_INTERVAL", ["input", "startingAt"])
    ]


async def test_a_switch_that_cannot_be(deal: Deal) -> None:  # noqa: F811
    [subscription] = (await signed(deal, initialQuantity="2.5"))["subscriptions"]
    payload = await change(deal.api, SWITCH, subscription, startingAt=NOVEMBER, groupKey="user")
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID"]
    await change(deal.api, QUANTITY, subscription, startingAt=DECEMBER, quantity="3")
    payload = await change(deal.api, SWITCH, subscription, startingAt=NOVEMBER, groupKey="user")
    assert [error["code"] for error in payload["userErrors"]] == ["ILLEGAL_TRANSITION"]
    payload = await change(deal.api, UPDATE, subscription, startingAt=NOVEMBER, addSeatIds=["bob"])
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [("INVALID", ["id"])]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "REQUIRED", []),
        ({"addSeatIds": ["x"], "removeSeatIds": ["x"]}, "INVALID", []),
        ({"addSeatIds": ["x", "x"]}, "INVALID", ["addSeatIds"]),
        ({"addSeatIds": [""]}, "REQUIRED", ["addSeatIds"]),
        ({"addSeatIds": [f"s{number}" for number in range(1_001)]}, "LIMIT_EXCEEDED", ["addSeatIds"]),
        ({"removeUnassigned": 2}, "QUANTITY_NEGATIVE", ["removeUnassigned"]),
        ({"addUnassigned": -1}, "INVALID", ["addUnassigned"]),
        ({"addUnassigned": 9_999}, "LIMIT_EXCEEDED", ["addSeatIds"]),
        ({"addUnassigned": 1, "startingAt": "2026-11-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"addUnassigned": 1, "startingAt": "2027-10-01T00:00:00Z"}, "INVALID_INTERVAL", ["startingAt"]),
    ],
)
async def test_refused_changes_of_seats(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:  # noqa: F811
    [subscription] = (await with_seats(deal))["subscriptions"]
    payload = await change(deal.api, UPDATE, subscription, **{"startingAt": NOVEMBER, **fields})
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["input", *path])]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"initialQuantity": None}, "REQUIRED", ["initialQuantity"]),
        ({"seats": {"groupKey": "user"}}, "REQUIRED", ["initialQuantity"]),
        ({"initialQuantity": None, "seats": {"groupKey": ""}}, "REQUIRED", ["seats", "groupKey"]),
        ({"initialQuantity": None, "seats": {"groupKey": "u", "unassigned": -1}}, "INVALID", ["seats", "unassigned"]),
        ({"initialQuantity": None, "seats": {"groupKey": "u", "seatIds": ["a", "a"]}}, "INVALID", ["seats", "seatIds"]),
    ],
)
async def test_refused_first_seats(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:  # noqa: F811
    payload = await deal.sign(subscriptions=[deal.subscription(**fields)])
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        (code, ["input", "subscriptions", "0", *path])
    ]
