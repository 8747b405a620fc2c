"""Contracts that follow others through the API: ended, renewed with what is left, refused where that would be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_balances import ADJUST, YEAR, credit
from tests.api.test_contract_end import ARCHIVE, end
from tests.api.test_invoice_voids import void
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]

START = "2026-11-01T00:00:00Z"
FOLLOWED = """
query ($id: ID!) { contract(id: $id) {
  interval { endingBefore }
  transitionedFrom { type at futureTrueUps settledAt fromContract { id } }
  transitionedTo { type settledAt toContract { id } } } }
"""
BALANCES = """
query ($customer: ID!, $filter: BalanceFilter) { balances(customerId: $customer, filter: $filter) { nodes {
  id kind status balance { amount } rolloverFraction rolledOverFrom { id } segments { interval { startingAt endingBefore } }
  ledger { nodes { type amount { amount } isDraft invoiceId contract { id } } } } } }
"""
FIXED = 'mutation { productCreate(input: {name: "Support", type: FIXED}) { product { id } userErrors { code } } }'
DISABLE = """mutation ($id: ID!) { balanceDisableTrueUp(id: $id) {
  balance { trueUpDisabled } userErrors { code path conflicting { id } } } }"""


async def renewal(api: Api, made: dict[str, Any], *, start: str = START, **fields: Any) -> dict[str, Any]:
    """The payload of a contract that follows the seller's."""
    transition = {"fromContractId": made["contract"]["id"], "type": "RENEWAL", **fields.pop("transition", {})}
    terms = {"customerId": made["customer"]["id"], "rateCardId": made["contract"]["rateCard"]["id"], **fields}
    return await build.attempt(api, "contract", interval=build.interval(start), transition=transition, **terms)


async def balances(api: Api, made: dict[str, Any]) -> list[dict[str, Any]]:
    every = {"status": ["ACTIVE", "EXPIRED", "VOIDED", "UPCOMING"]}
    return (await api(BALANCES, customer=made["customer"]["id"], filter=every))["balances"]["nodes"]


async def test_a_renewal_takes_what_is_left_along(api: Api) -> None:
    """October takes 1.25295 of 10; half of 10 rolls over, and November's 0.5 is paid from that."""
    made = await seller(api, balances=[credit("10", rolloverFraction="0.5")])
    old = made["contract"]["id"]
    answer = await renewal(api, made)
    assert (answer["userErrors"], answer["warnings"]) == ([], [])
    new = answer["contract"]["id"]
    first = (await api(FOLLOWED, id=old))["contract"]
    assert first == {
        "interval": {"endingBefore": START},
        "transitionedFrom": None,
        "transitionedTo": {"type": "RENEWAL", "settledAt": None, "toContract": {"id": new}},
    }
    [october, november] = await drafts_of(api, customer=made["customer"]["id"])
    assert [(item["contract"]["id"], item["total"]["amount"]) for item in (october, november)] == [
        (old, "0"),
        (new, "0"),
    ]
    source, target = await balances(api, made)
    assert [(entry["type"], entry["amount"]["amount"], entry["isDraft"]) for entry in source["ledger"]["nodes"]] == [
        ("CREDIT_SEGMENT_START", "10", False), ("CREDIT_AUTOMATED_INVOICE_DEDUCTION", "-1.25295", True),
        ("CREDIT_ROLLOVER", "-5", True), ("CREDIT_EXPIRATION", "-3.74705", False),
    ]  # fmt: skip
    named = [(entry["invoiceId"], entry["contract"]) for entry in source["ledger"]["nodes"]]
    assert named == [(None, None), (october["id"], {"id": old}), (None, {"id": new}), (None, None)]
    assert (source["status"], target["status"], target["balance"]["amount"]) == ("EXPIRED", "ACTIVE", "4.5")
    assert (target["rolledOverFrom"], target["rolloverFraction"]) == ({"id": source["id"]}, "0.5")
    assert target["segments"] == [{"interval": {"startingAt": START, "endingBefore": "2027-11-01T00:00:00Z"}}]
    await finalized(api, october["id"])
    followed = (await api(FOLLOWED, id=new))["contract"]["transitionedFrom"]
    assert followed.pop("settledAt") is not None
    assert followed == {"type": "RENEWAL", "at": START, "futureTrueUps": "AS_IS", "fromContract": {"id": old}}
    source, target = await balances(api, made)
    assert [entry["isDraft"] for entry in source["ledger"]["nodes"]] == [False] * 4
    assert target["balance"]["amount"] == "4.5"
    adjusted = await api(ADJUST, input={"id": target["id"], "amount": "1", "reason": "goodwill"})
    assert adjusted["balanceAdjust"]["balance"]["balance"]["amount"] == "5.5"


async def test_a_supersede_takes_nothing_along(api: Api) -> None:
    made = await seller(api, balances=[credit("10", rolloverFraction="0.5")])
    assert (await renewal(api, made, transition={"type": "SUPERSEDE"}))["userErrors"] == []
    [source] = await balances(api, made)
    assert [entry["type"] for entry in source["ledger"]["nodes"]][-1] == "CREDIT_EXPIRATION"
    [_, november] = await drafts_of(api, customer=made["customer"]["id"])
    assert november["total"]["amount"] == "0.5"


async def test_what_the_old_contract_would_have_charged_later_is_gone(api: Api) -> None:
    fixed = (await api(FIXED))["productCreate"]["product"]
    dates = ("2026-10-15T00:00:00Z", "2026-12-15T00:00:00Z")
    items = [{"at": date, "unitPrice": "9", "quantity": "1"} for date in dates]
    made = await seller(api, scheduledCharges=[{"productId": fixed["id"], "items": items}])
    assert (await renewal(api, made))["userErrors"] == []
    drafts = await drafts_of(api, contract=made["contract"]["id"])
    assert sorted((item["type"], item["total"]["amount"]) for item in drafts) == [
        ("SCHEDULED", "9"),
        ("USAGE", "1.25295"),
    ]


@pytest.mark.parametrize(
    ("start", "code", "path"),
    [
        ("2026-10-01T00:00:00Z", "INVALID_INTERVAL", ["input", "interval", "startingAt"]),
        ("2026-09-01T00:00:00Z", "INVALID_INTERVAL", ["input", "interval", "startingAt"]),
        ("2027-01-01T01:00:00Z", "INVALID_INTERVAL", ["input", "interval", "startingAt"]),
        ("2026-11-01T00:30:00Z", "NOT_HOUR_ALIGNED", ["input", "interval", "startingAt"]),
    ],
)
async def test_a_start_outside_of_the_old_contract_is_refused(api: Api, start: str, code: str, path: list[str]) -> None:
    made = await seller(api)
    assert (await end(api, made["contract"], "2027-01-01T00:00:00Z"))["userErrors"] == []
    [error] = (await renewal(api, made, start=start))["userErrors"]
    assert (error["code"], error["status"], error["path"]) == (code, 400, path)
    shown = (await api(FOLLOWED, id=made["contract"]["id"]))["contract"]
    assert shown == {
        "interval": {"endingBefore": "2027-01-01T00:00:00Z"},
        "transitionedFrom": None,
        "transitionedTo": None,
    }


async def test_a_contract_is_followed_once_until_its_successor_is_archived(api: Api) -> None:
    made = await seller(api)
    first = (await renewal(api, made))["contract"]
    [error] = (await renewal(api, made))["userErrors"]
    path = ["input", "transition", "fromContractId"]
    assert (error["code"], error["path"], error["conflicting"]) == ("ALREADY_TRANSITIONED", path, {"id": first["id"]})
    [moved] = (await end(api, made["contract"], None))["userErrors"]
    assert (moved["code"], moved["path"]) == ("ALREADY_TRANSITIONED", ["endingBefore"])
    await api(ARCHIVE, id=first["id"], void=False)
    assert (await api(FOLLOWED, id=made["contract"]["id"]))["contract"]["transitionedTo"] is None
    assert (await end(api, made["contract"], None))["userErrors"] == []
    assert (await renewal(api, made, start="2026-12-01T00:00:00Z"))["userErrors"] == []


async def test_only_a_living_contract_of_the_same_customer_is_followed(api: Api) -> None:
    made = await seller(api)
    other = await build.contract(api, (await build.customer(api))["id"], currency="USD")
    path = ["input", "transition", "fromContractId"]
    for wrong in (other["id"], "con_" + "0" * 32):
        [error] = (await renewal(api, made, transition={"fromContractId": wrong}))["userErrors"]
        assert (error["code"], error["path"]) == ("NOT_FOUND", path)
    await api(ARCHIVE, id=made["contract"]["id"], void=False)
    [error] = (await renewal(api, made))["userErrors"]
    assert (error["code"], error["path"]) == ("ARCHIVED", path)


async def test_usage_that_is_final_is_not_billed_by_the_successor_again(api: Api) -> None:
    made = await seller(api)
    [october, _] = await drafts_of(api, customer=made["customer"]["id"])
    final = await finalized(api, october["id"])
    [error] = (await renewal(api, made, start="2026-10-20T00:00:00Z"))["userErrors"]
    assert (error["code"], error["conflicting"]) == ("ENDS_BEFORE_FINALIZED_INVOICE", {"id": final["id"]})
    await void(api, final["id"])
    assert (await renewal(api, made, start="2026-10-20T00:00:00Z"))["userErrors"] == []


async def test_a_true_up_that_is_called_off_is_never_billed(api: Api) -> None:
    commit = {"kind": "POSTPAID", "unit": "USD", "access": [{"amount": "100", **YEAR}], "name": "commit"}
    made = await seller(api, balances=[commit, {**commit, "trueUpDisabled": True}, credit()])
    assert (await end(api, made["contract"], "2026-11-01T00:00:00Z"))["userErrors"] == []
    drafts = await drafts_of(api, customer=made["customer"]["id"])
    assert [item["type"] for item in drafts] == ["USAGE", "TRUEUP"]
    first, second, gift = sorted(await balances(api, made), key=lambda item: item["id"].split("_")[1])
    for _ in range(2):
        answer = (await api(DISABLE, id=first["id"]))["balanceDisableTrueUp"]
        assert answer == {"balance": {"trueUpDisabled": True}, "userErrors": []}
    assert [item["type"] for item in await drafts_of(api, customer=made["customer"]["id"])] == ["USAGE"]
    [error] = (await api(DISABLE, id=gift["id"]))["balanceDisableTrueUp"]["userErrors"]
    assert error["path"] == ["id"]
    await api(ARCHIVE, id=made["contract"]["id"], void=False)
    [error] = (await api(DISABLE, id=second["id"]))["balanceDisableTrueUp"]["userErrors"]
    assert error["code"] == "ARCHIVED"


async def test_a_true_up_that_is_final_is_voided_before_it_is_called_off(api: Api) -> None:
    commit = {"kind": "POSTPAID", "unit": "USD", "access": [{"amount": "100", **YEAR}], "name": "commit"}
    made = await seller(api, balances=[commit])
    assert (await end(api, made["contract"], "2026-11-01T00:00:00Z"))["userErrors"] == []
    usage, true_up = await drafts_of(api, customer=made["customer"]["id"])
    await finalized(api, usage["id"])
    await finalized(api, true_up["id"])
    [found] = await balances(api, made)
    [error] = (await api(DISABLE, id=found["id"]))["balanceDisableTrueUp"]["userErrors"]
    assert (error["code"], error["conflicting"]) == ("ALREADY_FINALIZED", {"id": true_up["id"]})
    await void(api, true_up["id"])
    assert (await api(DISABLE, id=found["id"]))["balanceDisableTrueUp"]["userErrors"] == []
    regenerate = "mutation ($id: ID!) { invoiceRegenerate(id: $id) { userErrors { code } } }"
    [error] = (await api(regenerate, id=true_up["id"]))["invoiceRegenerate"]["userErrors"]
    assert error["code"] == "NOTHING_TO_REGENERATE"


@pytest.mark.parametrize("kind", ["CREDIT", "PREPAID"])
async def test_only_a_postpaid_commit_has_a_true_up(api: Api, kind: str) -> None:
    card = await build.rate_card(api, rates=[build.rate((await build.product(api))["id"])])
    error = await build.refusal(
        api, "contract", customerId=(await build.customer(api))["id"], rateCardId=card["id"],
        interval=build.interval(START), balances=[{**credit(), "kind": kind, "trueUpDisabled": True}],
    )  # fmt: skip
    assert (error["code"], error["path"]) == ("INVALID", ["input", "balances", "0", "trueUpDisabled"])
