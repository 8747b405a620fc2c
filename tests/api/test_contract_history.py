"""Every change of a contract leaves one record, whatever mutation asks for it; a refused one leaves none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.contracts.past import misremembered
from app.graphql.fields import ACTION, SCOPE
from app.schema import build
from app.store.engine import Store
from tests import builders
from tests.api.books import assert_sound
from tests.api.test_access_audit import entries
from tests.api.test_balances import credit
from tests.api.test_custom_fields import add as add_key
from tests.api.test_fees import DECEMBER, NOVEMBER, Deal, deal
from tests.api.test_invoices import app

__all__ = ["app", "deal"]

HISTORY = """query ($id: ID!) { contract(id: $id) { editHistory(first: 100) { totalCount nodes {
  action at actor { kind name } changes { kind id of before after } } } } }"""
TERMS = """query ($id: ID!, $customer: ID!) {
  contract(id: $id) { subscriptions { id } recurringBalances { id } scheduledCharges { id } }
  balances(customerId: $customer, first: 50) { nodes { id kind name } } }"""
AT = "2026-11-03T00:00:00Z"
ENDS = '"2027-06-01T00:00:00Z"'

CALLS: dict[str, str] = {
    "contractSetBillingConfiguration": "(id: {contract}, billingConfigurationId: null)",
    "contractSetUsageFilter": '(id: {contract}, input: {{key: "team", values: ["a"]}})',
    "contractAddScheduledCharge": '(id: {contract}, input: {{productId: {setup}, items: [{{at: {at}, unitPrice: "5"}}]}})',
    "contractAddSubscription": "(id: {contract}, input: {{productId: {seats}, billingFrequency: MONTHLY, "
    'collection: ADVANCE, initialQuantity: "3"}})',
    "contractUpdateEndDate": "(id: {contract}, endingBefore: " + ENDS + ")",
    "contractAmend": '(id: {contract}, input: {{startingAt: {at}, add: {{overrides: [{{change: {{multiplier: "0.5"}}}}]}}}})',
    "contractEdit": '(id: {contract}, input: {{name: "New"}})',
    "subscriptionUpdateQuantity": '(id: {subscription}, input: {{startingAt: {at}, quantity: "11"}})',
    "subscriptionSwitchToSeats": '(id: {subscription}, input: {{startingAt: {at}, groupKey: "user", seatIds: ["ann"]}})',
    "subscriptionUpdateSeats": '(id: {subscription}, input: {{startingAt: {at}, addSeatIds: ["bob", "eve"]}})',
    "recurringBalanceUpdate": '(id: {recurring}, input: {{accessAmount: {{unitPrice: "9"}}}})',
    "balanceUpdate": '(id: {credit}, input: {{priority: "3", access: {{update: [{{number: 0, amount: "20"}}]}}}})',
    "balanceAdjust": '(input: {{id: {credit}, amount: "2", reason: "thanks"}})',
    "balanceUpdateEndDate": "(id: {credit}, accessEndingBefore: " + ENDS + ")",
    "balanceDisableTrueUp": "(id: {commit})",
    "balanceArchive": "(id: {credit})",
    "contractSetThreshold": '(id: {contract}, input: {{kind: SPEND, amount: "9", productId: {setup}, isEnabled: false}})',
    "contractRemoveThreshold": "(id: {contract}, kind: SPEND)",
    "commitRelease": "(id: {gated}, outcome: FAILED)",
    "customFieldsSet": '(id: {contract}, values: [{{key: "region", value: "eu"}}])',
    "customFieldsDelete": '(id: {contract}, keys: ["region"])',
    "contractArchive": "(id: {contract}, voidInvoices: false)",
}
"""Each mutation that changes a contract, in an order in which all of them can be carried out on one."""
SAFE_TO_REPEAT = {"commitRelease"}
"""The same answer again is accepted, and changes nothing."""
GATED = {
    "paymentGate": "EXTERNAL", "kind": "PREPAID", "name": "awaited",
    "payment": {"items": [{"at": "2026-12-01T00:00:00Z", "unitPrice": "5"}]},
}  # fmt: skip
NO_CHANGE_OF_ONE = {
    "contractCreate": "a new contract has no history; the one that it follows has, see below",
    "balanceCreate": "a balance of a customer as a whole belongs to no contract",
    **dict.fromkeys(
        ("packageCreate", "packageArchive", "packageGiveAlias"),
        "contracts that were made of a package stay as they are",
    ),
}


def of_contracts() -> set[str]:
    """The mutations that need the permission to write contracts, or are given any object's id."""
    schema = build()[0]
    assert schema.mutation is not None
    return {
        schema.config.name_converter.get_graphql_name(field)
        for field in schema.mutation.__strawberry_definition__.fields
        if field.metadata[SCOPE] == "contracts:write" or field.metadata[ACTION] in ("custom_fields.set", "custom_fields.delete")
    }  # fmt: skip


def test_the_table_has_every_mutation_of_the_schema() -> None:
    assert of_contracts() == CALLS.keys() | NO_CHANGE_OF_ONE.keys()


async def signed(deal: Deal) -> dict[str, str]:
    """A contract with a term of each kind; its ids and those that the calls name, as GraphQL texts by name."""
    metric = await builders.metric(deal.api, groupKeys=[["team"]])
    metered = await builders.product(deal.api, "Metered", metric_id=metric["id"])
    monthly = builders.rate(deal.seats["id"], "30", billingFrequency="MONTHLY")
    card = await builders.rate_card(deal.api, name="By team", rates=[monthly, builders.rate(metered["id"])])
    await add_key(deal.api, "region", "CONTRACT")
    contract = await deal.signed(
        rateCardId=card["id"], interval={"startingAt": NOVEMBER, "endingBefore": "2027-11-01T00:00:00Z"},
        subscriptions=[deal.subscription()], balances=[credit("30"), credit("100", kind="POSTPAID", name="promised"), credit("5", **GATED)],
        recurringBalances=[{"kind": "CREDIT", "unit": "USD", "accessAmount": {"unitPrice": "2"}, "name": "monthly"}],
    )  # fmt: skip
    found = await deal.api(TERMS, id=contract["id"], customer=deal.customer["id"])
    balances = {item["name"]: item["id"] for item in found["balances"]["nodes"]}
    named = {
        "contract": contract["id"], "subscription": found["contract"]["subscriptions"][0]["id"],
        "recurring": found["contract"]["recurringBalances"][0]["id"], "credit": balances["gift"],
        "commit": balances["promised"], "gated": balances["awaited"], "setup": deal.setup["id"], "seats": deal.seats["id"], "at": AT,
    }  # fmt: skip
    return {name: f'"{value}"' for name, value in named.items()}


async def history(deal: Deal, contract: str) -> list[dict[str, Any]]:
    page = (await deal.api(HISTORY, id=contract.strip('"')))["contract"]["editHistory"]
    assert page["totalCount"] == len(page["nodes"])
    return page["nodes"]


async def call(deal: Deal, mutation: str, names: dict[str, str]) -> list[dict[str, Any]]:
    document = f"mutation {{ {mutation}{CALLS[mutation].format(**names)} {{ userErrors {{ code message path }} }} }}"
    return (await deal.api(document))[mutation]["userErrors"]


async def test_every_mutation_leaves_one_record_and_one_audit_entry(deal: Deal, store: Store, now: datetime) -> None:
    names = await signed(deal)
    for count, mutation in enumerate(CALLS, 1):
        assert await call(deal, mutation, names) == [], mutation
        found = await history(deal, names["contract"])
        assert len(found) == count, mutation
        [entry] = [item for item in await entries(deal.api) if item["action"] == found[0]["action"]]
        assert (found[0]["action"].replace("_", ""), found[0]["at"]) == (dotted(mutation), "2026-11-02T12:00:00Z")
        assert (found[0]["actor"], entry["outcome"]) == ({"kind": "key", "name": "bootstrap"}, "ok")
        assert found[0]["changes"] != [] or mutation == "contractSetBillingConfiguration", mutation
    await assert_sound(store, now)
    # The same again is refused, and a refused change is none.
    refused = [mutation for mutation in CALLS if await call(deal, mutation, names) != []]
    assert len(refused) > 12
    assert len(await history(deal, names["contract"])) == 2 * len(CALLS) - len(refused) - len(SAFE_TO_REPEAT)


def dotted(mutation: str) -> str:
    """contractSetUsageFilter -> contract.setusagefilter"""
    for kind in ("recurringBalance", "customFields", "contract", "subscription", "balance", "commit"):
        if mutation.startswith(kind):
            return f"{kind}.{mutation.removeprefix(kind)}".lower()
    raise AssertionError(mutation)


async def test_what_a_record_says(deal: Deal) -> None:
    names = await signed(deal)
    said: dict[str, list[dict[str, Any]]] = {}
    for mutation in CALLS:
        await call(deal, mutation, names)
        said[mutation] = (await history(deal, names["contract"]))[0]["changes"]
    bare = {name: value.strip('"') for name, value in names.items()}
    assert said["contractSetUsageFilter"] == [
        {"kind": "usage_filter", "id": None, "of": None, "before": None,
         "after": {"startingAt": "2026-11-01T00:00:00+00:00", "key": "team", "values": ["a"]}},
    ]  # fmt: skip
    [charge] = said["contractAddScheduledCharge"]
    assert (charge["kind"], charge["before"], charge["after"]["productId"]) == ("scheduled_charge", None, bare["setup"])
    [update] = said["subscriptionUpdateQuantity"]
    assert update == {
        "kind": "quantity_update", "id": None, "of": bare["subscription"], "before": None,
        "after": {"startingAt": "2026-11-03T00:00:00+00:00", "quantity": "11"},
    }  # fmt: skip
    [balance, segment] = said["balanceUpdate"]
    assert (balance["id"], balance["before"], balance["after"]) == (
        bare["credit"], {"priority": "100"}, {"priority": "3"},
    )  # fmt: skip
    assert (segment["kind"], segment["of"]) == ("segment", bare["credit"])
    assert (segment["before"], segment["after"]) == ({"amount": "30"}, {"amount": "20"})
    [entry] = said["balanceAdjust"]
    assert (entry["kind"], entry["of"], entry["before"], entry["after"]["reason"]) == (
        "entry", bare["credit"], None, "thanks",
    )  # fmt: skip
    [fields] = said["customFieldsDelete"]
    assert fields == {
        "kind": "custom_fields", "id": None, "of": bare["contract"], "before": {"region": "eu"}, "after": {},
    }  # fmt: skip
    archived = {(item["kind"], *item["after"]) for item in said["contractArchive"]}
    assert archived == {("contract", "archivedAt"), ("commit", "archivedAt"), ("recurring_balance", "archivedAt"),
                        ("credit", "archivedAt")}  # fmt: skip


async def test_a_successor_is_a_change_of_the_one_before(deal: Deal) -> None:
    first = await deal.signed()
    transition = {"fromContractId": first["id"], "type": "RENEWAL"}
    second = await deal.signed(interval={"startingAt": DECEMBER}, transition=transition)
    [record] = await history(deal, first["id"])
    assert record["action"] == "contract.create"
    [change] = record["changes"]
    assert (change["before"], change["after"]) == (
        {"endingBefore": None}, {"endingBefore": "2026-12-01T00:00:00+00:00"},
    )  # fmt: skip
    assert await history(deal, second["id"]) == []


async def test_one_request_with_several_mutations_leaves_one_record_for_each(deal: Deal) -> None:
    contract = await deal.signed()
    one = "contractEdit(id: $id, input: {name: %s}) { userErrors { code } }"
    document = "mutation ($id: ID!) { " + " ".join(
        f"m{place}: {one % name}" for place, name in enumerate(('"A"', '""', '"C"'))
    ) + " }"  # fmt: skip
    answer = await deal.api(document, id=contract["id"])
    assert [len(answer[f"m{place}"]["userErrors"]) for place in range(3)] == [0, 1, 0]
    found = await history(deal, contract["id"])
    assert [item["changes"][0]["after"]["name"] for item in found] == ["C", "A"]
    assert found[0]["changes"][0]["before"] == {"name": "A"}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("update contracts set name = 'Other'", id="a name that nobody gave"),
        pytest.param("update contract_edits set changes = jsonb_set(changes, '{0,before,name}', '\"Z\"') "
                     "where changes->0->'after'->>'name' = 'C'", id="a record that does not follow the one before"),
    ],
)  # fmt: skip
async def test_a_history_that_does_not_lead_to_the_terms_is_found(deal: Deal, store: Store, fault: str) -> None:
    names = await signed(deal)
    for mutation in CALLS:
        await call(deal, mutation, names)
    contract = await deal.signed()
    edit = "mutation ($id: ID!, $name: String) { contractEdit(id: $id, input: {name: $name}) { userErrors { code } } }"
    for name in ("B", "C"):
        await deal.api(edit, id=contract["id"], name=name)
    async with store.transaction() as session:
        checked, wrong = await misremembered(session)
        assert (checked > 20, wrong) == (True, [])
    async with store.transaction() as session:
        await session.execute(text("alter table contract_edits disable trigger user"))
        await session.execute(text(fault))
    async with store.transaction() as session:
        _, wrong = await misremembered(session)
    assert contract["id"].removeprefix("con_") in wrong
