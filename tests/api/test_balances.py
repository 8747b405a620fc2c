"""Commits and credits through the API: made, drawn on by drafts and final invoices, adjusted, listed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

YEAR = {"startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2027-10-01T00:00:00Z"}
SHOWN = """
id __typename kind name status isExhausted balance { amount currency } rateType
segments { number amount { amount } remaining { amount } }
ledger { nodes { type at segment amount { amount } runningBalance { amount } reason isDraft } }
"""
LIST = f"""
query ($customer: ID!, $filter: BalanceFilter) {{ balances(customerId: $customer, filter: $filter) {{
  nodes {{ {SHOWN} }} totalCount }} }}
"""
ERRORS = "userErrors { code path status conflicting { id } }"
CREATE = (
    f"mutation ($input: BalanceCreateInput!) {{ balanceCreate(input: $input) {{ balance {{ {SHOWN} }} {ERRORS} }} }}"
)
ADJUST = (
    f"mutation ($input: BalanceAdjustInput!) {{ balanceAdjust(input: $input) {{ balance {{ {SHOWN} }} {ERRORS} }} }}"
)
LINES = "query ($id: ID!) { invoice(id: $id) { lines { nodes { type appliedTo segment amount { amount } balance { id name } } } } }"


def credit(amount: str = "1", **fields: Any) -> dict[str, Any]:
    return {"kind": "CREDIT", "unit": "USD", "access": [{"amount": amount, **YEAR}], "name": "gift", **fields}


async def listed(api: Api, customer: str, **wanted: Any) -> list[dict[str, Any]]:
    return (await api(LIST, customer=customer, filter=wanted or None))["balances"]["nodes"]


async def create(api: Api, customer: str, terms: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return (await api(CREATE, input={"customerId": customer, "terms": terms, **fields}))["balanceCreate"]


async def test_a_credit_pays_drafts_and_then_final_invoices(api: Api) -> None:
    """October comes to 1.25295 (0.25295 in eu and 1 in us): a credit of 1 pays the dearer first."""
    made = await seller(api, balances=[credit("1")])
    customer = made["customer"]["id"]
    [october, november] = await drafts_of(api, customer=customer)
    assert (october["total"]["amount"], november["total"]["amount"]) == ("0.25295", "0.5")
    [draft] = await listed(api, customer)
    assert (draft["__typename"], draft["status"], draft["isExhausted"]) == ("Credit", "ACTIVE", True)
    assert draft["balance"] == {"amount": "0", "currency": "USD"}
    assert [(entry["type"], entry["amount"]["amount"], entry["isDraft"]) for entry in draft["ledger"]["nodes"]] == [
        ("CREDIT_SEGMENT_START", "1", False), ("CREDIT_AUTOMATED_INVOICE_DEDUCTION", "-1", True),
    ]  # fmt: skip
    invoice = await finalized(api, october["id"])
    assert invoice["total"]["amount"] == "0.25"
    [final] = await listed(api, customer)
    assert [entry["isDraft"] for entry in final["ledger"]["nodes"]] == [False, False]
    lines = (await api(LINES, id=october["id"]))["invoice"]["lines"]["nodes"]
    applied = [line for line in lines if line["type"] == "APPLIED"]
    assert {(line["appliedTo"], line["balance"]["name"], line["segment"]) for line in applied} == {("USAGE", "gift", 0)}


async def test_a_customers_commit_is_bought_on_the_contract_that_it_names(api: Api) -> None:
    made = await seller(api)
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    payment = {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "80"}]}
    terms = {
        "kind": "PREPAID",
        "unit": "USD",
        "access": [{"amount": "100", **YEAR}],
        "priority": "10",
        "payment": payment,
    }
    error = (await create(api, customer, terms))["userErrors"]
    assert [(item["code"], item["path"]) for item in error] == [("REQUIRED", ["input", "terms", "invoiceContractId"])]
    answer = await create(api, customer, terms, invoiceContractId=contract)
    assert answer["userErrors"] == []
    assert (answer["balance"]["__typename"], answer["balance"]["id"][:4]) == ("Commit", "com_")
    drafts = await drafts_of(api, customer=customer)
    assert sorted(draft["total"]["amount"] for draft in drafts) == ["0", "0", "80"]
    node = await api("query ($id: ID!) { node(id: $id) { __typename id } }", id=answer["balance"]["id"])
    assert node["node"] == {"__typename": "Commit", "id": answer["balance"]["id"]}
    foreign = answer["balance"]["id"].replace("com_", "crd_")
    assert (await api("query ($id: ID!) { node(id: $id) { __typename } }", id=foreign))["node"] is None


async def test_entries_by_hand_count_at_once_and_say_why(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    made = (await create(api, customer, credit("10", priority="1")))["balance"]
    entry = {"id": made["id"], "amount": "-4", "reason": "slip", "at": "2027-01-01T00:00:00Z"}
    adjusted = (await api(ADJUST, input=entry))["balanceAdjust"]
    assert adjusted["userErrors"] == []
    assert adjusted["balance"]["balance"]["amount"] == "6"
    assert adjusted["balance"]["ledger"]["nodes"][-1]["reason"] == "slip"
    for wrong, code, path in (
        ({"reason": " "}, "REASON_REQUIRED", "reason"), ({"amount": "0"}, "INVALID", "amount"),
        ({"segment": 1}, "NOT_FOUND", "segment"), ({"id": "crd_" + "0" * 32}, "NOT_FOUND", "id"),
        ({"id": customer}, "NOT_FOUND", "id"),
    ):  # fmt: skip
        [error] = (await api(ADJUST, input={**entry, **wrong}))["balanceAdjust"]["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", path])


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"priority": None}, "PRIORITY_REQUIRED", ["priority"]),
        ({"unit": "POINTS"}, "INVALID", ["unit"]),
        ({"access": []}, "REQUIRED", ["segments"]),
        ({"access": [{"amount": "-1", **YEAR}]}, "INVALID", ["segments", "0", "amount"]),
        ({"access": [{"amount": "1", **YEAR, "startingAt": "2026-10-01T00:30:00Z"}]}, "NOT_HOUR_ALIGNED", ["segments", "0", "startingAt"]),
        ({"access": [{"amount": "1", "startingAt": YEAR["endingBefore"], "endingBefore": YEAR["startingAt"]}]}, "INVALID_INTERVAL", ["segments", "0", "endingBefore"]),
        ({"appliesTo": {"tags": ["a"], "specifiers": [{"tags": ["b"]}]}}, "SCOPE_EXCLUSIVE", ["specifiers"]),
        ({"appliesTo": {"specifiers": [{}]}}, "REQUIRED", ["specifiers", "0"]),
        ({"appliesTo": {"productIds": ["prd_" + "0" * 32]}}, "NOT_FOUND", ["productIds"]),
        ({"rolloverFraction": "1.1"}, "INVALID", ["rolloverFraction"]),
        ({"payment": {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "1"}]}}, "REQUIRED", ["invoiceContractId"]),
    ],
)  # fmt: skip
async def test_balances_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    customer = (await build.customer(api))["id"]
    [error] = (await create(api, customer, {**credit(priority="1"), **fields}))["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", "terms", *path])
    assert await listed(api, customer, status=["ACTIVE", "UPCOMING", "EXPIRED", "VOIDED"]) == []


async def test_one_key_makes_one_balance_however_many_ask_at_once(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    kinds = [credit(priority="1", uniquenessKey="k"), credit(priority="1", uniquenessKey="k", kind="PREPAID")]
    answers = await asyncio.gather(*(create(api, customer, kinds[number % 2]) for number in range(50)))
    made = [answer["balance"] for answer in answers if answer["balance"] is not None]
    assert len(made) == 1
    errors = [error for answer in answers for error in answer["userErrors"]]
    assert {(error["code"], error["status"], error["conflicting"]["id"]) for error in errors} == {
        ("UNIQUENESS_KEY_CONFLICT", 409, made[0]["id"])
    }
    assert len(errors) == 49


async def test_expired_balances_are_hidden_until_asked_for(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    old = {"amount": "1", "startingAt": "2026-01-01T00:00:00Z", "endingBefore": "2026-02-01T00:00:00Z"}
    await create(api, customer, {**credit(priority="1"), "access": [old], "name": "old"})
    await create(api, customer, credit(priority="1", name="now"))
    assert [item["name"] for item in await listed(api, customer)] == ["now"]
    assert [item["name"] for item in await listed(api, customer, status=["EXPIRED"])] == ["old"]
    assert await listed(api, customer, kind=["PREPAID"]) == []
    assert [item["name"] for item in await listed(api, customer, excludeZeroBalances=True)] == ["now"]


async def test_an_override_prices_what_one_balance_pays(api: Api) -> None:
    """Half price for what the commit pays: 1.00 buys the two units of us at 0.25 and more; the rest is as ever."""
    made = await seller(
        api,
        balances=[{**credit("0.5"), "kind": "PREPAID", "temporaryId": "a"}],
        overrides=[{
            "change": {"multiplier": "0.5"}, "commitSpecific": True,
            "specifiers": [{"pricing": build.pairs({"region": "us"}), "balanceIds": ["a"]}],
        }],
    )  # fmt: skip
    [october, _november] = await drafts_of(api, customer=made["customer"]["id"])
    assert october["total"]["amount"] == "0.25295"
    shown = await api(
        "query ($id: ID!) { contract(id: $id) { overrides { commitSpecific target } } }",
        id=made["contract"]["id"],
    )
    assert shown["contract"]["overrides"] == [{"commitSpecific": True, "target": "LIST_RATE"}]


@pytest.mark.parametrize(
    ("override", "code", "path"),
    [
        ({"target": "COMMIT_RATE"}, "TARGET_NEEDS_COMMIT_SPECIFIC", ["target"]),
        ({"specifiers": [{"tags": ["a"], "balanceIds": ["a"]}]}, "INVALID", ["specifiers"]),
        ({"commitSpecific": True, "entitled": True}, "INVALID", ["entitled"]),
        (
            {"commitSpecific": True, "specifiers": [{"tags": ["a"], "balanceIds": ["com_" + "0" * 32]}]},
            "NOT_FOUND", ["specifiers", "0", "balanceIds", "0"],
        ),
        (
            {"commitSpecific": True, "specifiers": [{"tags": ["a"], "balanceIds": ["b"]}]},
            "NOT_FOUND", ["specifiers", "0", "balanceIds", "0"],
        ),
    ],
)  # fmt: skip
async def test_overrides_for_balances_that_are_refused(
    api: Api, override: dict[str, Any], code: str, path: list[str]
) -> None:
    card = await build.rate_card(api, rates=[build.rate((await build.product(api))["id"])])
    error = await build.refusal(
        api, "contract", customerId=(await build.customer(api))["id"], rateCardId=card["id"],
        interval=build.interval("2026-11-01T00:00:00Z"), balances=[credit(temporaryId="a")],
        overrides=[{"change": {"multiplier": "0.5"}, **override}],
    )  # fmt: skip
    assert (error["code"], error["path"]) == (code, ["input", "overrides", "0", *path])
