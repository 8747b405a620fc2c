"""Recurring commits and credits through the API: made with a contract, read back with their children, refused by rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.accounts import AZURE
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

RECURRING = """
id kind name description interval { startingAt endingBefore } frequency duration proration priority rateType revision
accessAmount { unitPrice quantity amount { amount currency } } invoiceAmount { unitPrice amount { amount currency } }
appliesTo { tags products { id } specifiers { pricing { key value } product { id } } }
balances(first: $first, after: $after) { nodes { id name description segments { amount { amount } interval { startingAt endingBefore } } }
  pageInfo { hasNextPage endCursor } }
"""
READ = f"""
query ($id: ID!, $first: Int = 25, $after: String) {{ contract(id: $id) {{ recurringBalances {{ {RECURRING} }} }} }}
"""
NOVEMBER = "2026-11-01T00:00:00Z"


def monthly(amount: str = "10", **fields: Any) -> dict[str, Any]:
    return {"kind": "CREDIT", "unit": "USD", "accessAmount": {"unitPrice": amount}, **fields}


async def read(api: Api, contract: str, **paging: Any) -> list[dict[str, Any]]:
    return (await api(READ, id=contract, **paging))["contract"]["recurringBalances"]


async def test_it_reads_back_with_what_it_has_made(api: Api) -> None:
    """A commit of 2 × 30 a month since October 11, by statement months: 40.645… for the 21 days of October, then 60."""
    made = await seller(
        api,
        recurringBalances=[
            monthly(
                kind="PREPAID", name="Monthly", description="as agreed", startingAt="2026-10-11T00:00:00Z",
                accessAmount={"unitPrice": "30", "quantity": "2"}, invoiceAmount={"unitPrice": "45"}, priority="7",
                appliesTo={"specifiers": [{"pricing": build.pairs({"region": "eu"})}]},
            ),
            monthly("1", frequency="WEEKLY", startingAt="2026-10-20T00:00:00Z", endingBefore="2026-10-29T00:00:00Z",
                    duration=2, proration="NONE"),
        ],
    )  # fmt: skip
    commit, credit = await read(api, made["contract"]["id"])
    assert commit.pop("id").startswith("rgr_")
    children = commit.pop("balances")["nodes"]
    assert [(child["name"], child["description"]) for child in children] == [("Monthly", "as agreed")] * 2
    assert [segment for child in children for segment in child["segments"]] == [
        {
            "amount": {"amount": "40.645161290323"},
            "interval": {"startingAt": "2026-10-11T00:00:00Z", "endingBefore": NOVEMBER},
        },
        {"amount": {"amount": "60"}, "interval": {"startingAt": NOVEMBER, "endingBefore": "2026-12-01T00:00:00Z"}},
    ]
    assert commit == {
        "kind": "PREPAID", "name": "Monthly", "description": "as agreed", "frequency": None, "duration": 1,
        "interval": {"startingAt": "2026-10-11T00:00:00Z", "endingBefore": None}, "proration": "FIRST_AND_LAST",
        "priority": "7", "rateType": "LIST_RATE", "revision": 1,
        "accessAmount": {"unitPrice": "30", "quantity": "2", "amount": {"amount": "60", "currency": "USD"}},
        "invoiceAmount": {"unitPrice": "45", "amount": {"amount": "45", "currency": "USD"}},
        "appliesTo": {
            "tags": [], "products": [], "specifiers": [{"pricing": build.pairs({"region": "eu"}), "product": None}],
        },
    }  # fmt: skip
    weeks = credit["balances"]["nodes"]
    assert [child["segments"][0]["interval"]["endingBefore"] for child in weeks] == [
        "2026-11-03T00:00:00Z", "2026-11-10T00:00:00Z",
    ]  # fmt: skip
    totals = sorted(draft["total"]["amount"] for draft in await drafts_of(api, customer=made["customer"]["id"]))
    assert totals == ["0", "1.25295", "30.483870967742", "45"], (
        "both purchases; October's usage came before any balance"
    )
    node = await api("query ($id: ID!) { node(id: $id) { ... on RecurringBalance { duration } } }", id=credit["id"])
    assert node["node"] == {"duration": 2}


async def test_children_come_page_by_page(api: Api) -> None:
    weekly = monthly(frequency="WEEKLY", startingAt="2026-10-01T00:00:00Z")
    contract = (await build.contract(api, starting_at="2026-10-01T00:00:00Z", recurringBalances=[weekly]))["id"]
    seen: list[str] = []
    after: str | None = None
    for _ in range(3):
        [found] = await read(api, contract, first=2, after=after)
        seen += [child["id"] for child in found["balances"]["nodes"]]
        after = found["balances"]["pageInfo"]["endCursor"]
    assert found["balances"]["pageInfo"]["hasNextPage"] is False
    assert len(seen) == len(set(seen)) == 5


async def test_an_override_means_all_that_a_recurring_balance_makes(api: Api) -> None:
    """Half price for what the monthly credit of 0.5 pays: it buys both units of us in October and the one in November."""
    made = await seller(
        api,
        recurringBalances=[monthly("0.5", temporaryId="m", startingAt="2026-10-01T00:00:00Z")],
        overrides=[{
            "change": {"multiplier": "0.5"}, "commitSpecific": True,
            "specifiers": [{"pricing": build.pairs({"region": "us"}), "balanceIds": ["m"]}],
        }],
    )  # fmt: skip
    october, november = await drafts_of(api, customer=made["customer"]["id"])
    assert (october["total"]["amount"], november["total"]["amount"]) == ("0.25295", "0")


async def test_a_name_that_could_mean_two_balances_is_refused(api: Api) -> None:
    error = await build.refusal(
        api, "contract", customerId=(await build.customer(api))["id"], rateCardId=(await build.rate_card(api))["id"],
        interval=build.interval(NOVEMBER), recurringBalances=[monthly(temporaryId="a"), monthly(temporaryId="a")],
    )  # fmt: skip
    assert (error["code"], error["path"]) == ("INVALID", ["input", "temporaryId"])


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"kind": "POSTPAID"}, "INVALID", ["kind"]),
        ({"invoiceAmount": {"unitPrice": "1"}}, "INVALID", ["kind"]),
        ({"frequency": "SEMI_ANNUAL"}, "NOT_SUPPORTED", ["frequency"]),
        ({"duration": 0}, "INVALID", ["duration"]),
        ({"duration": 121}, "INVALID", ["duration"]),
        ({"accessAmount": {"unitPrice": "-1"}}, "INVALID", ["accessAmount", "unitPrice"]),
        ({"accessAmount": {"unitPrice": "1", "quantity": "-1"}}, "INVALID", ["accessAmount", "quantity"]),
        ({"accessAmount": {"unitPrice": "9" * 30, "quantity": "9" * 30}}, "INVALID", ["accessAmount"]),
        ({"kind": "PREPAID", "invoiceAmount": {"unitPrice": "-1"}}, "INVALID", ["invoiceAmount", "unitPrice"]),
        ({"kind": "PREPAID", "invoiceAmount": {"unitPrice": "1", "currency": "POINTS"}}, "INVALID", ["invoiceAmount", "currency"]),
        ({"startingAt": "2026-11-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"startingAt": "2027-11-01T00:00:00Z"}, "INVALID_INTERVAL", ["startingAt"]),
        ({"startingAt": "2026-01-01T00:00:00Z", "endingBefore": NOVEMBER}, "INVALID_INTERVAL", ["endingBefore"]),
        ({"endingBefore": "2026-10-01T00:00:00Z"}, "INVALID_INTERVAL", ["endingBefore"]),
        ({"unit": "POINTS"}, "INVALID", ["unit"]),
        ({"priority": "-1"}, "INVALID", ["priority"]),
        ({"name": " "}, "REQUIRED", ["name"]),
        ({"rolloverFraction": "2"}, "INVALID", ["rolloverFraction"]),
        ({"productId": "prd_" + "0" * 32}, "NOT_FOUND", ["productId"]),
        ({"productId": "con_" + "0" * 32}, "INVALID", ["productId"]),
        ({"appliesTo": {"tags": ["a"], "specifiers": [{"tags": ["b"]}]}}, "SCOPE_EXCLUSIVE", ["specifiers"]),
    ],
)  # fmt: skip
async def test_recurring_balances_that_are_refused(
    api: Api, fields: dict[str, Any], code: str, path: list[str]
) -> None:
    customer = (await build.customer(api))["id"]
    error = await build.refusal(
        api, "contract", customerId=customer, rateCardId=(await build.rate_card(api))["id"],
        interval=build.interval(NOVEMBER, "2027-11-01T00:00:00Z"), recurringBalances=[{**monthly(), **fields}],
    )  # fmt: skip
    assert (error["code"], error["path"]) == (code, ["input", "recurringBalances", "0", *path])
    found = await api("query ($id: ID!) { contracts(filter: {customerId: $id}) { nodes { id } } }", id=customer)
    assert found["contracts"]["nodes"] == []


async def test_a_past_of_too_many_periods_is_refused(api: Api) -> None:
    """A thousand weeks are more than nineteen years."""
    error = await build.refusal(
        api, "contract", customerId=(await build.customer(api))["id"], rateCardId=(await build.rate_card(api))["id"],
        interval=build.interval("2007-01-01T00:00:00Z"), recurringBalances=[monthly(frequency="WEEKLY")],
    )  # fmt: skip
    assert (error["code"], error["path"]) == ("LIMIT_EXCEEDED", ["input", "recurringBalances"])
    many = [monthly() for _ in range(101)]
    error = await build.refusal(
        api, "contract", customerId=(await build.customer(api))["id"], rateCardId=(await build.rate_card(api))["id"],
        interval=build.interval(NOVEMBER), recurringBalances=many,
    )  # fmt: skip
    assert error["code"] == "LIMIT_EXCEEDED"


UPDATE = """
mutation ($id: ID!, $input: RecurringBalanceUpdateInput!, $revision: Int) {
  recurringBalanceUpdate(id: $id, input: $input, revision: $revision) {
    recurringBalance { revision rateType childAccess { type } interval { endingBefore } accessAmount { amount { amount } }
      invoiceAmount { amount { amount currency } } balances { nodes { childAccess { type } segments { amount { amount } } } } }
    userErrors { code path } } }
"""


async def test_a_change_reaches_only_what_is_still_to_begin(api: Api) -> None:
    """It is November 2: October's and November's stay at 10, which is what drafts draw on."""
    made = await seller(api, recurringBalances=[monthly("10", startingAt="2026-10-01T00:00:00Z")])
    [found] = await read(api, made["contract"]["id"])
    changes = {
        "accessAmount": {"unitPrice": "3", "quantity": "2"},
        "rateType": "COMMIT_RATE",
        "endingBefore": "2027-02-01T00:00:00Z",
        "childAccess": {"type": "ALL"},
    }
    payload = (await api(UPDATE, id=found["id"], input=changes, revision=1))["recurringBalanceUpdate"]
    assert payload == {
        "recurringBalance": {
            "revision": 2, "rateType": "COMMIT_RATE", "childAccess": {"type": "ALL"}, "interval": {"endingBefore": "2027-02-01T00:00:00Z"},
            "accessAmount": {"amount": {"amount": "6"}}, "invoiceAmount": None,
            "balances": {"nodes": [{"childAccess": {"type": "NONE"}, "segments": [{"amount": {"amount": "10"}}]}] * 2},
        },
        "userErrors": [],
    }  # fmt: skip
    assert [draft["total"]["amount"] for draft in await drafts_of(api, customer=made["customer"]["id"])] == ["0", "0"]
    for wrong, code, path in (
        ({}, "REQUIRED", []),
        ({"invoiceAmount": {"unitPrice": "1"}}, "INVALID", ["kind"]),
        ({"accessAmount": {"unitPrice": "-1"}}, "INVALID", ["accessAmount", "unitPrice"]),
        ({"endingBefore": "2026-09-01T00:00:00Z"}, "INVALID_INTERVAL", ["endingBefore"]),
    ):
        payload = (await api(UPDATE, id=found["id"], input=wrong))["recurringBalanceUpdate"]
        assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["input", *path])]
    stale = (await api(UPDATE, id=found["id"], input=changes, revision=1))["recurringBalanceUpdate"]
    assert [error["code"] for error in stale["userErrors"]] == ["STALE_REVISION"]
    unknown = (await api(UPDATE, id="rgr_" + "0" * 32, input=changes))["recurringBalanceUpdate"]
    assert [error["code"] for error in unknown["userErrors"]] == ["NOT_FOUND"]


async def test_one_that_is_over_does_not_begin_again(api: Api) -> None:
    """Ended by a change in October's middle, it would have to make children of the past."""
    paid = monthly(
        kind="PREPAID", startingAt="2026-10-01T00:00:00Z", invoiceAmount={"unitPrice": "5", "currency": "EUR"}
    )
    contract = (await build.contract(api, starting_at="2026-10-01T00:00:00Z", recurringBalances=[paid]))["id"]
    [found] = await read(api, contract)
    ended = await api(UPDATE, id=found["id"], input={"endingBefore": "2026-11-02T00:00:00Z", "invoiceAmount": None})
    assert ended["recurringBalanceUpdate"]["userErrors"] == []
    assert ended["recurringBalanceUpdate"]["recurringBalance"]["invoiceAmount"] is None
    again = (await api(UPDATE, id=found["id"], input={"endingBefore": None}))["recurringBalanceUpdate"]
    assert [(error["code"], error["path"]) for error in again["userErrors"]] == [
        ("INVALID_INTERVAL", ["input", "endingBefore"])
    ]


@pytest.mark.parametrize(
    "terms",
    [
        {"balances": [{"kind": "PREPAID", "unit": "EUR", "access": [{"amount": "1", "startingAt": NOVEMBER, "endingBefore": "2026-12-01T00:00:00Z"}], "payment": {"items": [{"at": NOVEMBER, "unitPrice": "1"}]}}]},
        {"balances": [{"kind": "POSTPAID", "unit": "EUR", "access": [{"amount": "1", "startingAt": NOVEMBER, "endingBefore": "2026-12-01T00:00:00Z"}]}]},
        {"recurringBalances": [{"kind": "PREPAID", "unit": "USD", "accessAmount": {"unitPrice": "1"}, "invoiceAmount": {"unitPrice": "1", "currency": "EUR"}}]},
    ],
)  # fmt: skip
async def test_what_a_marketplace_would_not_bill_is_refused_at_once(api: Api, terms: dict[str, Any]) -> None:
    """Its invoice in euros would find no provider; on the customer's own it is refused for the contract that bills it."""
    customer = (await build.customer(api))["id"]
    azure = await build.configuration(api, customer, provider="azure_marketplace", settings=AZURE, isDefault=True)
    card = (await build.rate_card(api))["id"]
    error = await build.refusal(
        api, "contract", customerId=customer, rateCardId=card, interval=build.interval(NOVEMBER),
        billingConfigurationId=azure["id"], **terms,
    )  # fmt: skip
    assert (error["code"], error["path"]) == ("CURRENCY_MISMATCH", ["input", "billingConfigurationId"])
    if "balances" not in terms:
        return
    contract = (await build.contract(api, customer, card))["id"]
    create = """
    mutation ($input: BalanceCreateInput!) { balanceCreate(input: $input) { balance { id } userErrors { code path } } }
    """
    own = {"customerId": customer, "terms": terms["balances"][0] | {"priority": "1"}, "invoiceContractId": contract}
    [refused] = (await api(create, input=own))["balanceCreate"]["userErrors"]
    assert (refused["code"], refused["path"]) == ("CURRENCY_MISMATCH", ["input", "invoiceContractId"])
