"""Threshold billing and awaited payments through the API: agreed on, shown, refused, told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.store.engine import Store
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_access_audit import entries
from tests.api.test_balances import create
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

FIXED = 'mutation { productCreate(input: {name: "Usage so far", type: FIXED}) { product { id } userErrors { code } } }'
SHOWN = """
kind isEnabled amount { amount currency } rechargeTo { amount currency } accessMonths paymentGate priority name
stoppedBecause product { name } appliesTo { tags }
"""
ERRORS = "userErrors { code message path status conflicting { id } }"
SET = f"""
mutation ($id: ID!, $input: ThresholdInput!, $revision: Int) {{
  contractSetThreshold(id: $id, input: $input, revision: $revision) {{
    contract {{ revision thresholds {{ {SHOWN} }} }} {ERRORS} }} }}
"""
REMOVE = f"""
mutation ($id: ID!, $kind: ThresholdKind!) {{
  contractRemoveThreshold(id: $id, kind: $kind) {{ contract {{ thresholds {{ kind }} }} {ERRORS} }} }}
"""
THRESHOLDS = f"query ($id: ID!) {{ contract(id: $id) {{ thresholds {{ {SHOWN} }} }} }}"
GATE = "paymentGate { collectedBy status settledAt reason invoice { id status total { amount } } }"
RELEASE = f"""
mutation ($id: ID!, $outcome: PaymentGateStatus!, $reason: String) {{
  commitRelease(id: $id, outcome: $outcome, reason: $reason) {{
    balance {{ id status balance {{ amount }} {GATE} }} {ERRORS} }} }}
"""
AWAITED = """
query ($by: PaymentGate, $first: Int!, $after: String) {
  awaitedPayments(collectedBy: $by, first: $first, after: $after) {
    nodes { id paymentGate { collectedBy } } pageInfo { hasNextPage endCursor } } }
"""
NOVEMBER = {"startingAt": "2026-11-01T00:00:00Z", "endingBefore": "2026-12-01T00:00:00Z"}


async def fixed(api: Api) -> str:
    return (await api(FIXED))["productCreate"]["product"]["id"]


def spend(product: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "SPEND", "amount": "100", "productId": product, **fields}


def recharge(product: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "BALANCE", "amount": "50", "rechargeTo": "500", "productId": product, **fields}


async def watch(api: Api, contract: str, revision: int | None = None, **entry: Any) -> dict[str, Any]:
    return (await api(SET, id=contract, input=entry, revision=revision))["contractSetThreshold"]


async def test_a_contract_watches_one_threshold_of_each_kind(api: Api) -> None:
    """Agreed on with the contract, replaced by a mutation and by an edit, removed; each change is a revision."""
    product = await fixed(api)
    made = await seller(api, thresholds=[spend(product, name="So far", priority="7")])
    contract = made["contract"]["id"]
    answer = await watch(api, contract, **recharge(product, accessMonths=6, appliesTo={"tags": ["ai"]}))
    assert answer["userErrors"] == []
    usd = {"currency": "USD"}
    by_spend = {
        "kind": "SPEND", "isEnabled": True, "amount": {"amount": "100", **usd}, "rechargeTo": None, "accessMonths": None,
        "paymentGate": None, "priority": "7", "name": "So far", "stoppedBecause": None,
        "product": {"name": "Usage so far"}, "appliesTo": {"tags": []},
    }  # fmt: skip
    by_balance = {
        **by_spend, "kind": "BALANCE", "amount": {"amount": "50", **usd}, "rechargeTo": {"amount": "500", **usd},
        "accessMonths": 6, "priority": None, "name": None, "appliesTo": {"tags": ["ai"]},
    }  # fmt: skip
    assert answer["contract"]["thresholds"] == [by_balance, by_spend]
    edit = "mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) { userErrors { code } } }"
    change = {"add": {"thresholds": [spend(product, amount="250", isEnabled=False, paymentGate="STRIPE")]}}
    assert (await api(edit, id=contract, input=change))["contractEdit"]["userErrors"] == []
    [_, found] = (await api(THRESHOLDS, id=contract))["contract"]["thresholds"]
    assert (found["amount"]["amount"], found["isEnabled"], found["paymentGate"]) == ("250", False, "STRIPE")
    removed = (await api(REMOVE, id=contract, kind="SPEND"))["contractRemoveThreshold"]
    assert removed["contract"]["thresholds"] == [{"kind": "BALANCE"}]
    again = (await api(REMOVE, id=contract, kind="SPEND"))["contractRemoveThreshold"]
    assert [error["code"] for error in again["userErrors"]] == ["NOT_FOUND"]


async def test_every_change_is_audited(api: Api) -> None:
    product = await fixed(api)
    made = await seller(api)
    contract = made["contract"]["id"]
    await watch(api, contract, **spend(product))
    await watch(api, contract, **spend(product, amount="300"))
    [entry, _] = await entries(api, action="contract.set_threshold")
    before, after = (entry[side]["spendThreshold"]["amount"] for side in ("before", "after"))
    assert (before, after) == ("100", "300")


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"amount": "0"}, "INVALID", "amount"),
        ({"amount": "-1"}, "INVALID", "amount"),
        ({"amount": "1000000000000000"}, "INVALID", "amount"),
        ({"rechargeTo": "200"}, "INVALID", "rechargeTo"),
        ({"accessMonths": 1}, "INVALID", "accessMonths"),
        ({"appliesTo": {"tags": ["ai"]}}, "INVALID", "appliesTo"),
        ({"unit": "EUR"}, "INVALID", "unit"),
        ({"name": ""}, "REQUIRED", "name"),
        ({"description": "x" * 2001}, "INVALID", "description"),
        ({"priority": "-1"}, "INVALID", "priority"),
        ({"productId": "prd_00000000000000000000000000000000"}, "NOT_FOUND", "productId"),
        ({"kind": "BALANCE"}, "REQUIRED", "rechargeTo"),
        ({"kind": "BALANCE", "rechargeTo": "100"}, "INVALID", "rechargeTo"),
        ({"kind": "BALANCE", "rechargeTo": "200", "accessMonths": 0}, "INVALID", "accessMonths"),
        ({"kind": "BALANCE", "rechargeTo": "200", "accessMonths": 121}, "INVALID", "accessMonths"),
        ({"kind": "BALANCE", "rechargeTo": "200", "unit": "EUR"}, "CURRENCY_MISMATCH", "unit"),
        ({"kind": "BALANCE", "rechargeTo": "200", "unit": "TOKENS"}, "CURRENCY_MISMATCH", "unit"),
        (
            {"kind": "BALANCE", "rechargeTo": "200", "appliesTo": {"tags": ["a"], "specifiers": [{"tags": ["b"]}]}},
            "SCOPE_EXCLUSIVE", "specifiers",
        ),
    ],
)  # fmt: skip
async def test_what_a_threshold_may_not_say(api: Api, change: dict[str, Any], code: str, place: str) -> None:
    product = await fixed(api)
    made = await seller(api)
    answer = await watch(api, made["contract"]["id"], **{**spend(product), **change})
    assert answer["contract"] is None
    [error] = answer["userErrors"]
    assert (error["code"], error["path"][-1]) == (code, place)
    assert (await api(THRESHOLDS, id=made["contract"]["id"]))["contract"]["thresholds"] == []


async def test_a_stale_revision_and_a_usage_product_are_refused(api: Api) -> None:
    product = await fixed(api)
    made = await seller(api)
    contract = made["contract"]["id"]
    [error] = (await watch(api, contract, revision=99, **spend(product)))["userErrors"]
    assert error["code"] == "STALE_REVISION"
    [error] = (await watch(api, contract, **spend(made["product"]["id"])))["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID", ["input", "productId"])


def gated(product: str, **fields: Any) -> dict[str, Any]:
    payment = {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "250"}]}
    return {
        "kind": "PREPAID", "unit": "USD", "access": [{"amount": "300", **NOVEMBER}], "productId": product,
        "priority": "1", "payment": payment, "paymentGate": "EXTERNAL", **fields,
    }  # fmt: skip


async def test_a_commit_waits_for_its_payment(api: Api, store: Store, now: datetime) -> None:
    """PENDING until the caller says PAID; then the draft draws on it. The same word again changes nothing."""
    product = await fixed(api)
    made = await seller(api)
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    answer = await create(api, customer, gated(product), invoiceContractId=contract)
    commit = answer["balance"]["id"]
    assert (answer["balance"]["status"], answer["balance"]["balance"]["amount"]) == ("PENDING", "0")
    drafts = await drafts_of(api, customer=customer)
    [purchase] = [item for item in drafts if item["type"] == "SCHEDULED"]
    assert (await finalized(api, purchase["id"]))["total"]["amount"] == "250"
    [november] = [
        item
        for item in drafts
        if item["type"] == "USAGE" and item["servicePeriod"]["startingAt"].startswith("2026-11-01")
    ]
    assert november["total"]["amount"] == "0.5"
    paid = (await api(RELEASE, id=commit, outcome="PAID", reason="transfer"))["commitRelease"]
    assert paid["userErrors"] == []
    gate = paid["balance"]["paymentGate"]
    assert (gate["collectedBy"], gate["status"], gate["reason"]) == ("EXTERNAL", "PAID", "transfer")
    assert gate["invoice"] == {"id": purchase["id"], "status": "FINALIZED", "total": {"amount": "250"}}
    assert (paid["balance"]["status"], paid["balance"]["balance"]["amount"]) == ("ACTIVE", "299.5")
    again = (await api(RELEASE, id=commit, outcome="PAID", reason="other words"))["commitRelease"]
    assert again["balance"]["paymentGate"] == gate
    [error] = (await api(RELEASE, id=commit, outcome="FAILED"))["commitRelease"]["userErrors"]
    assert (error["code"], error["conflicting"]["id"]) == ("ILLEGAL_TRANSITION", commit)
    await assert_sound(store, now)


async def test_what_cannot_be_told(api: Api) -> None:
    product = await fixed(api)
    made = await seller(api)
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    stripe = (await create(api, customer, gated(product, paymentGate="STRIPE"), invoiceContractId=contract))["balance"]
    plain = (await create(api, customer, gated(product, paymentGate=None), invoiceContractId=contract))["balance"]

    async def refused(id: str, outcome: str = "PAID", reason: str = "") -> tuple[str, list[str]]:
        [error] = (await api(RELEASE, id=id, outcome=outcome, reason=reason))["commitRelease"]["userErrors"]
        return error["code"], error["path"]

    assert await refused(stripe["id"]) == ("ILLEGAL_TRANSITION", ["id"])
    assert await refused(plain["id"]) == ("ILLEGAL_TRANSITION", ["id"])
    assert await refused(stripe["id"], "PENDING") == ("INVALID", ["outcome"])
    assert await refused(stripe["id"], reason="x" * 501) == ("INVALID", ["reason"])
    assert await refused("com_00000000000000000000000000000000") == ("NOT_FOUND", ["id"])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "CREDIT", "payment": None},
        {"payment": None},
        {"payment": {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "0"}]}},
        {"payment": {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "250"}], "doNotInvoice": True}},
        {"payment": {"items": [{"at": f"2026-11-0{day}T00:00:00Z", "unitPrice": "250"} for day in (1, 2)]}},
    ],
)
async def test_only_one_payment_is_waited_for(api: Api, change: dict[str, Any]) -> None:
    product = await fixed(api)
    made = await seller(api)
    answer = await create(
        api, made["customer"]["id"], gated(product, **change), invoiceContractId=made["contract"]["id"]
    )
    [error] = answer["userErrors"]
    assert (error["code"], error["path"][-1]) == ("INVALID", "paymentGate")


async def test_awaited_payments_are_listed_for_the_seller(api: Api) -> None:
    """Oldest first, by who collects them, page by page; one that is told leaves the list."""
    product = await fixed(api)
    made = await seller(api)
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    ids = [
        (await create(api, customer, gated(product, paymentGate=gate), invoiceContractId=contract))["balance"]["id"]
        for gate in ("EXTERNAL", "STRIPE", "EXTERNAL")
    ]

    async def awaited(**variables: Any) -> list[str]:
        found = (await api(AWAITED, **{"first": 10, **variables}))["awaitedPayments"]
        return [node["id"] for node in found["nodes"]]

    assert await awaited() == ids
    assert await awaited(by="EXTERNAL") == [ids[0], ids[2]]
    page = (await api(AWAITED, first=2))["awaitedPayments"]
    assert page["pageInfo"]["hasNextPage"]
    assert await awaited(after=page["pageInfo"]["endCursor"]) == ids[2:]
    await api(RELEASE, id=ids[0], outcome="FAILED")
    assert await awaited() == ids[1:]
