"""One edit of a contract: whole or not at all, under the rules of a create, kept in its history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_access_audit import entries
from tests.api.test_balances import credit
from tests.api.test_fees import DECEMBER, Deal, deal
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app", "deal"]

EDIT = """
mutation ($id: ID!, $input: ContractEditInput!, $revision: Int) {
  contractEdit(id: $id, input: $input, revision: $revision) {
    contract { id name netPaymentTermsDays revision interval { endingBefore } usageFilters { key }
      overrides { id } scheduledCharges { id } subscriptions { id quantity } recurringBalances { id } }
    edit { id at action uniquenessKey changes { kind id of before after } actor { kind } } warnings
    userErrors { code path status message conflicting { id } } } }
"""
HISTORY = """query ($id: ID!, $after: String) { contract(id: $id) {
  editHistory(first: 1, after: $after) { totalCount nodes { id changes { kind id of before after } } pageInfo { hasNextPage endCursor } } } }"""
SHOWN = "query ($id: ID!) { contract(id: $id) { name revision overrides { id } scheduledCharges { id } } }"
BALANCES = "query ($id: ID!) { balances(customerId: $id) { nodes { id priority } } }"


async def edit(api: Api, contract: str, *, revision: int | None = None, **changes: Any) -> dict[str, Any]:
    return (await api(EDIT, id=contract, input=changes, revision=revision))["contractEdit"]


def made_in(changes: list[dict[str, Any]], kind: str) -> list[str]:
    """The ids of what an edit made of one kind."""
    return [item["id"] for item in changes if item["kind"] == kind and item["before"] is None]


def refused(payload: dict[str, Any]) -> tuple[str, list[str]]:
    assert payload["contract"] is None
    assert payload["edit"] is None
    [error] = payload["userErrors"]
    return error["code"], error["path"]


async def test_everything_at_once(deal: Deal, store: Store, now: datetime) -> None:
    contract = await deal.signed(subscriptions=[deal.subscription()])
    held = contract["subscriptions"][0]["id"]
    answer = await edit(
        deal.api, contract["id"], name="Larger", netPaymentTermsDays=14, endingBefore="2027-11-01T00:00:00Z", revision=1,
        add={
            "overrides": [{"productId": deal.tokens["id"], "change": {"multiplier": "0.5"}}],
            "scheduledCharges": [deal.charge(("2026-11-02T00:00:00Z", "50"))],
            "subscriptions": [deal.subscription(temporaryId="more", startingAt=DECEMBER, initialQuantity="1")],
            "balances": [credit("30")],
            "recurringBalances": [
                {"kind": "CREDIT", "unit": "USD", "accessAmount": {"unitPrice": "2"},
                 "subscription": {"temporaryId": held, "allocation": "POOLED"}},
            ],
        },
        quantityUpdates=[
            {"subscriptionId": held, "startingAt": "2026-11-03T00:00:00Z", "delta": "2"},
            {"subscriptionId": "more", "startingAt": "2027-01-01T00:00:00Z", "quantity": "7"},
        ],
    )  # fmt: skip
    assert answer["userErrors"] == []
    made = answer["contract"]
    assert (made["name"], made["netPaymentTermsDays"], made["revision"]) == ("Larger", 14, 2)
    assert made["interval"] == {"endingBefore": "2027-11-01T00:00:00Z"}
    changes = answer["edit"]["changes"]
    for kind, name in (
        ("override", "overrides"), ("scheduled_charge", "scheduledCharges"), ("recurring_balance", "recurringBalances"),
    ):  # fmt: skip
        assert made_in(changes, kind) == [item["id"] for item in made[name]]
    assert [held, *made_in(changes, "subscription")] == [item["id"] for item in made["subscriptions"]]
    assert [(item["of"], item["after"]) for item in changes if item["kind"] == "quantity_update"] == [
        (held, {"startingAt": "2026-11-03T00:00:00+00:00", "delta": "2"}),
        (made["subscriptions"][1]["id"], {"startingAt": "2027-01-01T00:00:00+00:00", "quantity": "7"}),
    ]
    assert changes[0] == {
        "kind": "contract", "id": contract["id"], "of": None,
        "before": {"name": None, "netPaymentTermsDays": None, "endingBefore": None},
        "after": {"name": "Larger", "netPaymentTermsDays": 14, "endingBefore": "2027-11-01T00:00:00+00:00"},
    }  # fmt: skip
    assert (answer["edit"]["actor"], answer["edit"]["at"]) == ({"kind": "key"}, "2026-11-02T12:00:00Z")
    [added] = made_in(changes, "credit")
    balances = (await deal.api(BALANCES, id=deal.customer["id"]))["balances"]["nodes"]
    assert added in [item["id"] for item in balances]
    # Drafts follow at once: 10 seats at 30, less the credit of 30 and what recurs of 2 a seat; then the charge.
    scheduled = [item["subtotal"]["amount"] for item in await deal.drafts(contract) if item["type"] == "SCHEDULED"]
    assert scheduled == ["250", "50"]
    # What was added goes again, and a balance changes.
    answer = await edit(
        deal.api, contract["id"], removeOverrides=made_in(changes, "override"), name=None,
        updateBalances=[{"id": added, "priority": "7"}],
    )  # fmt: skip
    assert (answer["contract"]["overrides"], answer["contract"]["name"]) == ([], None)
    changed = {
        item["id"]: item["priority"] for item in (await deal.api(BALANCES, id=deal.customer["id"]))["balances"]["nodes"]
    }
    assert changed[added] == "7"
    [head, removed, balance] = answer["edit"]["changes"]
    assert (head["before"], head["after"]) == ({"name": "Larger"}, {"name": None})
    assert (removed["id"], removed["before"]) == (made_in(changes, "override")[0], {"removedAt": None})
    assert (balance["kind"], balance["id"], balance["after"]) == ("credit", added, {"priority": "7"})
    page = (await deal.api(HISTORY, id=contract["id"]))["contract"]["editHistory"]
    assert (page["totalCount"], page["nodes"][0]["id"], page["pageInfo"]["hasNextPage"]) == (
        2,
        answer["edit"]["id"],
        True,
    )
    page = (await deal.api(HISTORY, id=contract["id"], after=page["pageInfo"]["endCursor"]))["contract"]["editHistory"]
    assert page["nodes"][0]["changes"] == changes
    await assert_sound(store, now)


async def test_one_wrong_entry_refuses_the_whole(deal: Deal) -> None:
    contract = await deal.signed(subscriptions=[deal.subscription()])
    other = await deal.signed(
        overrides=[{"change": {"multiplier": "2"}}], subscriptions=[deal.subscription()],
        balances=[credit("5")],
    )  # fmt: skip
    foreign = (await deal.api(SHOWN, id=other["id"]))["contract"]["overrides"][0]["id"]
    [balance] = (await deal.api(BALANCES, id=deal.customer["id"]))["balances"]["nodes"]
    good = deal.charge((DECEMBER, "50"))
    held = contract["subscriptions"][0]["id"]
    at = "2026-11-03T00:00:00Z"

    def quantity(**change: Any) -> dict[str, Any]:
        return {"quantityUpdates": [{"subscriptionId": held, "startingAt": at, **change}]}

    wrong: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"add": {"overrides": [{"change": {"multiplier": "-1"}}]}}, "MULTIPLIER_NEGATIVE", ["add", "overrides", "0", "change"]),
        ({"add": {"balances": [{**credit("5"), "priority": "-1"}]}}, "INVALID", ["add", "balances", "0", "priority"]),
        ({"add": {"subscriptions": [deal.subscription(initialQuantity="-1")]}}, "QUANTITY_NEGATIVE", ["add", "subscriptions", "0", "initialQuantity"]),
        ({"add": {"usageFilters": [{"key": "k", "values": []}]}}, "REQUIRED", ["add", "usageFilters", "0", "values"]),
        (quantity(delta="-11"), "QUANTITY_NEGATIVE", ["quantityUpdates", "0"]),
        (quantity(), "REQUIRED", ["quantityUpdates", "0"]),
        ({"quantityUpdates": [{"subscriptionId": other["subscriptions"][0]["id"], "startingAt": at, "delta": "1"}]},
         "NOT_FOUND", ["quantityUpdates", "0", "subscriptionId"]),
        ({"quantityUpdates": [{"subscriptionId": "none", "startingAt": at, "delta": "1"}]},
         "NOT_FOUND", ["quantityUpdates", "0", "subscriptionId"]),
        ({"removeOverrides": [foreign]}, "NOT_FOUND", ["removeOverrides", "0"]),
        ({"updateBalances": [{"id": balance["id"], "priority": "1"}]}, "NOT_FOUND", ["updateBalances", "0", "id"]),
        ({"endingBefore": "2026-12-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["endingBefore"]),
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"netPaymentTermsDays": -1}, "INVALID", ["netPaymentTermsDays"]),
    ]  # fmt: skip
    before = (await deal.api(SHOWN, id=contract["id"]))["contract"]
    for changes, code, path in wrong:
        add = {"scheduledCharges": [good], **changes.get("add", {})}
        assert refused(await edit(deal.api, contract["id"], **{**changes, "add": add})) == (code, ["input", *path])
    # The end moves first, so a charge after it is refused.
    answer = await edit(deal.api, contract["id"], endingBefore=DECEMBER, add={"scheduledCharges": [good]})
    assert refused(answer)[0] == "INVALID_INTERVAL"
    assert refused(await edit(deal.api, contract["id"])) == ("REQUIRED", ["input"])
    assert refused(await edit(deal.api, contract["id"], name="x", revision=9)) == ("STALE_REVISION", ["revision"])
    assert (await deal.api(SHOWN, id=contract["id"]))["contract"] == before
    page = (await deal.api(HISTORY, id=contract["id"]))["contract"]["editHistory"]
    assert page["totalCount"] == 0


async def test_a_key_is_used_once(deal: Deal) -> None:
    contract = await deal.signed()
    first = await edit(deal.api, contract["id"], name="A", uniquenessKey="k")
    assert first["edit"]["uniquenessKey"] == "k"
    again = await edit(deal.api, contract["id"], name="B", uniquenessKey="k")
    assert refused(again) == ("UNIQUENESS_KEY_CONFLICT", ["input", "uniquenessKey"])
    [error] = again["userErrors"]
    assert (error["status"], error["conflicting"]) == (409, {"id": first["edit"]["id"]})
    assert (await deal.api(SHOWN, id=contract["id"]))["contract"]["name"] == "A"
    # A refused edit takes no key.
    assert refused(await edit(deal.api, contract["id"], name="", uniquenessKey="other"))[0] == "REQUIRED"
    assert (await edit(deal.api, contract["id"], name="C", uniquenessKey="other"))["userErrors"] == []
    found = [item for item in await entries(deal.api) if item["action"] == "contract.edit"]
    assert len(found) == 4


async def test_final_invoices_stay_and_drafts_follow(api: Api) -> None:
    made = await seller(api)
    contract = made["contract"]["id"]
    [october, november] = await drafts_of(api, contract=contract)
    final = await finalized(api, october["id"])
    half = {"overrides": [{"change": {"multiplier": "0"}}]}
    [error] = (await edit(api, contract, endingBefore="2026-10-06T00:00:00Z", add=half,
                          allowEndingBeforeFinalizedInvoice=False))["userErrors"]  # fmt: skip
    assert (error["code"], error["path"]) == ("ENDS_BEFORE_FINALIZED_INVOICE", ["input", "endingBefore"])
    assert error["conflicting"] == {"id": final["id"]}
    answer = await edit(api, contract, add=half)
    assert answer["userErrors"] == []
    [draft] = await drafts_of(api, contract=contract)
    assert draft["id"] == november["id"]
    assert draft["subtotal"]["amount"] == "0"
    shown = "query ($id: ID!) { invoice(id: $id) { total { amount } } }"
    assert (await api(shown, id=final["id"]))["invoice"]["total"] == {"amount": final["total"]["amount"]}
    answer = await edit(api, contract, endingBefore="2026-10-06T00:00:00Z")
    assert final["number"] in answer["warnings"][0]


async def test_an_override_that_was_removed_is_still_named_by_final_lines(
    api: Api, store: Store, now: datetime
) -> None:
    made = await seller(api)
    contract = made["contract"]["id"]
    answer = await edit(api, contract, add={"overrides": [{"change": {"multiplier": "0.5"}}]})
    [override] = made_in(answer["edit"]["changes"], "override")
    [october, _] = await drafts_of(api, contract=contract)
    final = await finalized(api, october["id"])
    assert (await edit(api, contract, removeOverrides=[override]))["contract"]["overrides"] == []
    lines = "query ($id: ID!) { invoice(id: $id) { lines { nodes { override { id } } } } }"
    named = {
        item["override"]["id"]
        for item in (await api(lines, id=final["id"]))["invoice"]["lines"]["nodes"]
        if item["override"]
    }
    assert named == {override}
    again = await edit(api, contract, removeOverrides=[override])
    assert refused(again) == ("NOT_FOUND", ["input", "removeOverrides", "0"])
    await assert_sound(store, now)
