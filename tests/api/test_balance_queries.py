"""Balances listed by filter, page by page, and added up; with custom fields, and what was agreed of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_balances import create, credit
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

OCTOBER, NOVEMBER, DECEMBER = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
LIST = """
query ($customer: ID!, $filter: BalanceFilter, $first: Int! = 25, $after: String) {
  balances(customerId: $customer, filter: $filter, first: $first, after: $after) {
    totalCount nodes { name } pageInfo { hasNextPage endCursor } } }
"""
NET = """
query ($customer: ID!, $unit: CurrencyCode!, $mode: InvoiceInclusionMode! = FINALIZED_AND_DRAFT, $filters: [NetBalanceFilter!]) {
  netBalance(customerId: $customer, unit: $unit, mode: $mode, filters: $filters) { amount currency } }
"""
KEY = """
mutation ($input: CustomFieldKeyAddInput!) { customFieldKeyAdd(input: $input) { userErrors { code } } }
"""


def access(amount: str, starting_at: str, ending_before: str) -> dict[str, str]:
    return {"amount": amount, "startingAt": starting_at, "endingBefore": ending_before}


async def names(api: Api, customer: str, **wanted: Any) -> list[str]:
    return [item["name"] for item in (await api(LIST, customer=customer, filter=wanted))["balances"]["nodes"]]


async def net(api: Api, customer: str, *filters: dict[str, Any], unit: str = "USD", **parts: Any) -> str:
    found = (await api(NET, customer=customer, unit=unit, filters=list(filters) or None, **parts))["netBalance"]
    assert found["currency"] == unit
    return found["amount"]


async def key(api: Api, entity: str, name: str, **fields: Any) -> None:
    added = await api(KEY, input={"entity": entity, "key": name, **fields})
    assert added["customFieldKeyAdd"]["userErrors"] == []


async def several(api: Api, customer: str) -> dict[str, str]:
    """It is November 2: four balances, of which only `now` and `paid` can be used, and `gone` is over."""
    made: dict[str, str] = {}
    for name, terms in {
        "gone": {"access": [access("1", "2026-01-01T00:00:00Z", OCTOBER)]},
        "now": {"access": [access("10", OCTOBER, DECEMBER)]},
        "paid": {"access": [access("20", NOVEMBER, DECEMBER)], "kind": "PREPAID"},
        "later": {"access": [access("40", DECEMBER, "2027-01-01T00:00:00Z")]},
    }.items():
        made[name] = (await create(api, customer, {**credit(priority="1"), **terms, "name": name}))["balance"]["id"]
    return made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["now", "paid", "later"]),
        ({"status": ["EXPIRED"]}, ["gone"]),
        ({"status": ["UPCOMING", "EXPIRED"]}, ["gone", "later"]),
        ({"status": []}, []),
        ({"kind": ["CREDIT"]}, ["now", "later"]),
        ({"coveringAt": "2026-10-15T00:00:00Z"}, ["now"]),
        ({"coveringAt": DECEMBER}, ["later"]),
        ({"startingAt": NOVEMBER}, ["paid", "later"]),
        ({"effectiveBefore": NOVEMBER}, ["now"]),
        ({"effectiveBefore": NOVEMBER, "status": ["ACTIVE", "EXPIRED"]}, ["gone", "now"]),
        ({"excludeZeroBalances": True}, ["now", "paid"]),
        ({"includeArchived": True, "includeContractBalances": False}, ["now", "paid", "later"]),
    ],
)
async def test_filters_of_the_list(api: Api, wanted: dict[str, Any], found: list[str]) -> None:
    customer = (await build.customer(api))["id"]
    await several(api, customer)
    assert await names(api, customer, **wanted) == found


async def test_ids_and_pages(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    made = await several(api, customer)
    assert await names(api, customer, ids=[made["later"], made["now"]]) == ["now", "later"]
    seen: list[str] = []
    after = None
    for _ in range(2):
        page = (await api(LIST, customer=customer, first=2, after=after))["balances"]
        seen += [item["name"] for item in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert (seen, page["totalCount"], page["pageInfo"]["hasNextPage"]) == (["now", "paid", "later"], 3, False)
    for wrong in (customer, "x"):
        [error] = await api.errors(LIST, customer=customer, filter={"ids": [wrong]})
        assert error["extensions"]["argument"] == ["filter", "ids", "0"]
    many = {"ids": [made["now"]] * 101}
    [error] = await api.errors(LIST, customer=customer, filter=many)
    assert "at most 100" in error["message"]


async def test_the_sum_of_a_unit(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    made = await several(api, customer)
    assert await net(api, customer) == "30"
    assert await net(api, customer, unit="EUR") == "0"
    assert await net(api, customer, {"kind": ["PREPAID"]}) == "20"
    assert await net(api, customer, {"kind": ["PREPAID"]}, {"ids": [made["now"], made["paid"]]}) == "30"
    assert await net(api, customer, {"kind": ["PREPAID"], "ids": [made["now"]]}) == "0"
    [error] = await api.errors(NET, customer=customer, unit="POINTS")
    assert error["extensions"]["argument"] == ["unit"]
    [error] = await api.errors(NET, customer=customer, unit="USD", filters=[{}] * 21)
    assert "at most 20" in error["message"]
    [error] = await api.errors(NET, customer=customer, unit="USD", filters=[{}, {"ids": ["x"]}])
    assert error["extensions"]["argument"] == ["filters", "1", "ids", "0"]


async def test_drafts_have_drawn_or_only_final_invoices(api: Api) -> None:
    """October comes to 1.25295 and November to 0.5."""
    made = await seller(api, balances=[credit("5")])
    customer = made["customer"]["id"]
    assert (await net(api, customer), await net(api, customer, mode="FINALIZED")) == ("3.24705", "5")
    october, _ = await drafts_of(api, customer=customer)
    await finalized(api, october["id"])
    assert (await net(api, customer), await net(api, customer, mode="FINALIZED")) == ("3.24705", "3.74705")


async def test_custom_fields_of_commits_and_credits(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    await key(api, "CREDIT", "campaign")
    await key(api, "COMMIT", "order", enforceUniqueness=True)
    spring = credit("1", priority="1", name="spring", customFields=build.pairs({"campaign": "spring"}))
    order = credit("2", priority="1", name="order", kind="PREPAID", customFields=build.pairs({"order": "7"}))
    made = (await create(api, customer, spring))["balance"]
    assert (await create(api, customer, order))["userErrors"] == []
    assert await names(api, customer, customFields=build.pairs({"campaign": "spring"})) == ["spring"]
    assert await names(api, customer, customFields=build.pairs({"campaign": "spring", "order": "7"})) == []
    assert await net(api, customer, {"customFields": build.pairs({"order": "7"})}) == "2"
    [error] = await api.errors(LIST, customer=customer, filter={"customFields": build.pairs({"colour": "red"})})
    assert error["extensions"]["reason"] == "CUSTOM_FIELD_UNKNOWN"
    for terms, code, path in (
        (spring | {"customFields": build.pairs({"order": "8"})}, "CUSTOM_FIELD_UNKNOWN", "order"),
        (order, "CUSTOM_FIELD_TAKEN", "order"),
    ):
        [error] = (await create(api, customer, terms))["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", "terms", "customFields", path])
    change = """
    mutation ($id: ID!, $values: [KeyValueInput!]!) { customFieldsSet(id: $id, values: $values) {
      node { ... on Credit { customFields { key value } customField(key: "campaign") } } userErrors { code } } }
    """
    changed = await api(change, id=made["id"], values=build.pairs({"campaign": "summer"}))
    assert changed["customFieldsSet"]["node"] == {
        "customFields": [{"key": "campaign", "value": "summer"}], "customField": "summer",
    }  # fmt: skip
    refused = await api(change, id=made["id"].replace("crd_", "com_"), values=build.pairs({"order": "9"}))
    assert refused["customFieldsSet"]["userErrors"] == [{"code": "NOT_FOUND"}]


async def test_what_was_agreed_reads_back(api: Api) -> None:
    """120 in three parts, the last of which takes what division left."""
    made = await seller(api)
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    schedule = {
        "startingAt": NOVEMBER, "endingBefore": "2027-02-01T00:00:00Z", "frequency": "MONTHLY", "unitPrice": "100",
        "distribution": "DIVIDED_ROUNDED",
    }  # fmt: skip
    terms = credit(
        kind="PREPAID", priority="3", appliesTo={"tags": ["a"], "productIds": [made["product"]["id"]]},
        payment={"recurring": schedule, "currency": "EUR", "doNotInvoice": True},
    )  # fmt: skip
    answer = await create(api, customer, terms, contractIds=[contract])
    assert answer["userErrors"] == []
    read = """
    query ($id: ID!) { node(id: $id) { ... on Commit { revision appliesTo { tags products { id } specifiers { tags } }
      payment { currency doNotInvoice items { nodes { at amount { amount currency } } } }
      contract { id } contracts { id } invoiceContract { id } } } }
    """
    assert (await api(read, id=answer["balance"]["id"]))["node"] == {
        "revision": 1,
        "appliesTo": {"tags": ["a"], "products": [{"id": made["product"]["id"]}], "specifiers": []},
        "payment": {
            "currency": "EUR",
            "doNotInvoice": True,
            "items": {
                "nodes": [
                    {"at": NOVEMBER, "amount": {"amount": "33.33", "currency": "EUR"}},
                    {"at": DECEMBER, "amount": {"amount": "33.33", "currency": "EUR"}},
                    {"at": "2027-01-01T00:00:00Z", "amount": {"amount": "33.34", "currency": "EUR"}},
                ]
            },
        },
        "contract": None,
        "contracts": [{"id": contract}],
        "invoiceContract": None,
    }
    for payment, code, path in (
        ({}, "REQUIRED", []), ({"recurring": schedule, "items": [{"at": NOVEMBER, "unitPrice": "1"}]}, "REQUIRED", []),
        ({"recurring": schedule | {"frequency": "WEEKLY"}}, "NOT_SUPPORTED", ["recurring", "frequency"]),
        ({"recurring": schedule | {"unitPrice": "-1"}, "doNotInvoice": True}, "INVALID", ["recurring"]),
        ({"recurring": schedule | {"endingBefore": NOVEMBER}}, "INVALID_INTERVAL", ["recurring", "endingBefore"]),
    ):  # fmt: skip
        [error] = (await create(api, customer, {**terms, "payment": payment}))["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", "terms", "payment", *path])
