"""What a contract has, changed and taken out by one edit; and the wrong orders, refused with a code and the cure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests import builders
from tests.api.accounts import AZURE
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_balance_edits import commit
from tests.api.test_balances import credit, listed
from tests.api.test_contract_edits import edit, refused
from tests.api.test_fees import DECEMBER, NOVEMBER, OCTOBER, Deal, deal
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import app, drafts_of, finalized, seller
from tests.api.test_recurring_balances import monthly

__all__ = ["app", "deal"]

PARTS = """query ($id: ID!) { contract(id: $id) {
  scheduledCharges { id items(first: 50) { nodes { at amount { amount } } } }
  subscriptions { id name interval { endingBefore } }
  recurringBalances { id accessAmount { unitPrice } interval { endingBefore } } billingConfiguration { id } } }"""
AMEND = """mutation ($id: ID!, $input: ContractAmendInput!) { contractAmend(id: $id, input: $input) {
  contract { id revision overrides { startingAt } subscriptions { interval { startingAt } }
    usageFilters { startingAt } recurringBalances { interval { startingAt } } }
  edit { id action amendmentId amendsFrom uniquenessKey changes { kind id before } } warnings
  userErrors { code message path conflicting { id } } } }"""


async def parts(api: Api, contract: str) -> dict[str, Any]:
    return (await api(PARTS, id=contract))["contract"]


def items(*dated: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"at": at, "unitPrice": amount} for at, amount in dated]


async def done(api: Api, contract: str, **changes: Any) -> dict[str, Any]:
    answer = await edit(api, contract, **changes)
    assert answer["userErrors"] == [], answer
    return answer


async def totals(deal: Deal, contract: dict[str, Any]) -> list[tuple[str | None, str]]:
    return [(draft["date"], draft["subtotal"]["amount"]) for draft in await deal.drafts(contract) if draft["date"]]


async def test_parts_change_and_go_in_one_edit(deal: Deal, store: Store, now: datetime) -> None:
    contract = await deal.signed(
        scheduledCharges=[deal.charge((NOVEMBER, "5"), (DECEMBER, "7")), deal.charge((NOVEMBER, "1"))],
        subscriptions=[deal.subscription(collection="ARREARS")], recurringBalances=[monthly("2")],
        balances=[credit("30"), credit("4", name="other")],
    )  # fmt: skip
    before = await parts(deal.api, contract["id"])
    kept, gone = before["scheduledCharges"]
    balances = {item["name"]: item["id"] for item in await listed(deal.api, deal.customer["id"])}
    answer = await done(
        deal.api, contract["id"], archiveScheduledCharges=[gone["id"]], archiveBalances=[balances["other"]],
        updateScheduledCharges=[{"id": kept["id"], "items": items((NOVEMBER, "6"))}],
        updateSubscriptions=[
            {"id": contract["subscriptions"][0]["id"], "name": "Team", "endingBefore": "2027-03-01T00:00:00Z"}
        ],
        updateRecurringBalances=[
            {"id": before["recurringBalances"][0]["id"], "accessAmount": {"unitPrice": "9"}, "endingBefore": DECEMBER}
        ],
        updateBalances=[{"id": balances["gift"], "priority": "1"}],
        billingConfigurationId=None,
    )  # fmt: skip
    after = await parts(deal.api, contract["id"])
    assert after["scheduledCharges"] == [
        {"id": kept["id"], "items": {"nodes": [{"at": NOVEMBER, "amount": {"amount": "6"}}]}}
    ]
    assert [item["name"] for item in after["subscriptions"]] == ["Team"]
    assert after["subscriptions"][0]["interval"] == {"endingBefore": "2027-03-01T00:00:00Z"}
    [recurring] = after["recurringBalances"]
    assert (recurring["accessAmount"], recurring["interval"]) == ({"unitPrice": "9"}, {"endingBefore": DECEMBER})
    assert [item["kind"] for item in answer["edit"]["changes"]] == [
        "scheduled_charge", "scheduled_charge", "subscription", "recurring_balance", "credit", "credit",
    ]  # fmt: skip
    # November's 6 is paid by the gift of 30; nothing is asked for the charge that went.
    assert [date for date, _ in await totals(deal, contract)] == [NOVEMBER]
    await assert_sound(store, now)


async def test_an_instalment_that_moves_onto_a_final_date_gets_a_further_invoice(
    deal: Deal, store: Store, now: datetime
) -> None:
    contract = await deal.signed(scheduledCharges=[deal.charge((NOVEMBER, "5"), (DECEMBER, "7"))])
    [first] = [draft for draft in await deal.drafts(contract) if draft["date"]]
    final = await finalized(deal.api, first["id"])
    charge = contract["scheduledCharges"][0]["id"]
    moved = [{"id": charge, "items": items((NOVEMBER, "5"), (NOVEMBER, "7"))}]
    await done(deal.api, contract["id"], updateScheduledCharges=moved)
    assert await totals(deal, contract) == [(NOVEMBER, "7")]
    [second] = [draft for draft in await deal.drafts(contract) if draft["date"]]
    assert second["id"] != final["id"]
    assert (await finalized(deal.api, second["id"]))["number"] == "INV-000002"
    await assert_sound(store, now)


async def test_a_charge_changes_with_the_invoice_that_is_made_again(deal: Deal, store: Store, now: datetime) -> None:
    contract = await deal.signed(scheduledCharges=[deal.charge((NOVEMBER, "5")), deal.charge((NOVEMBER, "2"))])
    [draft] = [item for item in await deal.drafts(contract) if item["date"]]
    final = await finalized(deal.api, draft["id"])
    await void(deal.api, final["id"])
    charge, other = [item["id"] for item in contract["scheduledCharges"]]
    await done(
        deal.api, contract["id"], archiveScheduledCharges=[other],
        updateScheduledCharges=[{"id": charge, "items": items((NOVEMBER, "6"))}],
    )  # fmt: skip
    assert (await regenerate(deal.api, final["id"]))["invoice"]["total"]["amount"] == "6"
    await assert_sound(store, now)


async def test_the_currency_of_an_archived_charge_stands_in_no_way(deal: Deal) -> None:
    contract = await deal.signed(scheduledCharges=[deal.charge((DECEMBER, "5"), currency="EUR")])
    charge = contract["scheduledCharges"][0]["id"]
    azure = await builders.configuration(deal.api, deal.customer["id"], provider="azure_marketplace", settings=AZURE)
    answer = await edit(deal.api, contract["id"], billingConfigurationId=azure["id"])
    assert refused(answer) == ("CURRENCY_MISMATCH", ["input", "billingConfigurationId"])
    await done(deal.api, contract["id"], archiveScheduledCharges=[charge])
    await done(deal.api, contract["id"], billingConfigurationId=azure["id"])
    assert (await parts(deal.api, contract["id"]))["billingConfiguration"] == {"id": azure["id"]}


async def test_a_subscription_that_ends_earlier_is_paid_for_until_then(deal: Deal) -> None:
    contract = await deal.signed(subscriptions=[deal.subscription()])
    subscription = contract["subscriptions"][0]["id"]
    assert await totals(deal, contract) == [(NOVEMBER, "300")]
    half = "2026-11-16T00:00:00Z"
    await done(deal.api, contract["id"], updateSubscriptions=[{"id": subscription, "endingBefore": half}])
    assert await totals(deal, contract) == [(NOVEMBER, "150")]
    await done(deal.api, contract["id"], updateSubscriptions=[{"id": subscription, "endingBefore": None}])
    assert await totals(deal, contract) == [(NOVEMBER, "300")]


async def billed(deal: Deal) -> dict[str, Any]:
    """A contract whose charge, fee and bought commit of November are on one final invoice; ids by name."""
    contract = await deal.signed(
        scheduledCharges=[deal.charge((NOVEMBER, "5"), (DECEMBER, "7"))], subscriptions=[deal.subscription()],
        balances=[commit((NOVEMBER, "50"), amount="60", priority="9", name="bought", productId=deal.setup["id"]),
                  credit("40")],
        recurringBalances=[monthly("2", endingBefore="2026-11-02T00:00:00Z")],
    )  # fmt: skip
    [draft] = [item for item in await deal.drafts(contract) if item["date"]]
    final = await finalized(deal.api, draft["id"])
    found = await parts(deal.api, contract["id"])
    names = {item["name"]: item["id"] for item in await listed(deal.api, deal.customer["id"])}
    return {
        "contract": contract["id"], "charge": found["scheduledCharges"][0]["id"], "bought": names["bought"],
        "gift": names["gift"], "subscription": found["subscriptions"][0]["id"],
        "recurring": found["recurringBalances"][0]["id"], "invoice": final["id"], "number": final["number"],
    }  # fmt: skip


Wrong = tuple[Callable[[dict[str, Any]], dict[str, Any]], str, list[str], str]
WRONG: dict[str, Wrong] = {
    "change a final instalment": (
        lambda ids: {"updateScheduledCharges": [{"id": ids["charge"], "items": items((NOVEMBER, "6"), (DECEMBER, "7"))}]},
        "ALREADY_FINALIZED", ["updateScheduledCharges", "0"], "Void the invoice first",
    ),
    "drop a final instalment": (
        lambda ids: {"updateScheduledCharges": [{"id": ids["charge"], "items": items((DECEMBER, "7"))}]},
        "ALREADY_FINALIZED", ["updateScheduledCharges", "0"], "Void the invoice first",
    ),
    "an instalment after the end": (
        lambda ids: {"endingBefore": "2026-12-15T00:00:00Z", "updateScheduledCharges": [
            {"id": ids["charge"], "items": items((NOVEMBER, "5"), ("2027-01-01T00:00:00Z", "7"))}]},
        "INVALID_INTERVAL", ["updateScheduledCharges", "0", "items", "1", "at"], "The contract ends at",
    ),
    "a schedule of nothing": (
        lambda ids: {"updateScheduledCharges": [{"id": ids["charge"]}]},
        "REQUIRED", ["updateScheduledCharges", "0"], "one of the two",
    ),
    "archive a charge that is billed": (
        lambda ids: {"archiveScheduledCharges": [ids["charge"]]},
        "ALREADY_FINALIZED", ["archiveScheduledCharges", "0"], "void it first",
    ),
    "archive a commit that was bought": (
        lambda ids: {"archiveBalances": [ids["bought"]]},
        "BALANCE_ON_FINALIZED_INVOICE", ["archiveBalances", "0"], "void it first",
    ),
    "archive a credit that paid": (
        lambda ids: {"archiveBalances": [ids["gift"]]},
        "BALANCE_ON_FINALIZED_INVOICE", ["archiveBalances", "0"], "void it first",
    ),
    "remove a segment that paid": (
        lambda ids: {"updateBalances": [{"id": ids["gift"], "access": {
            "remove": [0], "add": [{"amount": "1", "startingAt": NOVEMBER, "endingBefore": DECEMBER}]}}]},
        "BALANCE_ON_FINALIZED_INVOICE", ["updateBalances", "0", "access", "remove"], "void it first",
    ),
    "change what was paid for a commit": (
        lambda ids: {"updateBalances": [{"id": ids["bought"], "payment": {"items": items((NOVEMBER, "51"))}}]},
        "ALREADY_FINALIZED", ["updateBalances", "0", "payment"], "Void the invoice first",
    ),
    "end a subscription before a final fee": (
        lambda ids: {"updateSubscriptions": [{"id": ids["subscription"], "endingBefore": NOVEMBER}]},
        "INVALID_INTERVAL", ["updateSubscriptions", "0", "endingBefore"], "write an hour after that",
    ),
    "change nothing of a subscription": (
        lambda ids: {"updateSubscriptions": [{"id": ids["subscription"]}]},
        "REQUIRED", ["updateSubscriptions", "0"], "Name something",
    ),
    "lengthen a recurring balance that is over": (
        lambda ids: {"updateRecurringBalances": [{"id": ids["recurring"], "endingBefore": DECEMBER}]},
        "INVALID_INTERVAL", ["updateRecurringBalances", "0", "endingBefore"], "make another one",
    ),
    "a charge that is no charge": (
        lambda ids: {"archiveScheduledCharges": [ids["gift"]]},
        "INVALID", ["archiveScheduledCharges", "0"], "such ids look like sch_",
    ),
    "a charge of nobody": (
        lambda _: {"updateScheduledCharges": [{"id": f"sch_{'0' * 32}", "items": items((DECEMBER, "1"))}]},
        "NOT_FOUND", ["updateScheduledCharges", "0", "id"], "does not exist",
    ),
    "a billing configuration of nobody": (
        lambda _: {"billingConfigurationId": f"bcf_{'0' * 32}"},
        "NOT_FOUND", ["billingConfigurationId"], "does not exist",
    ),
}  # fmt: skip


async def test_wrong_orders_are_refused_with_their_cure(deal: Deal, store: Store, now: datetime) -> None:
    ids = await billed(deal)
    before = await parts(deal.api, ids["contract"])
    for case, (changes, code, path, cure) in WRONG.items():
        answer = await edit(deal.api, ids["contract"], **changes(ids))
        [error] = answer["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", *path]), case
        assert cure in error["message"], (case, error["message"])
        if code in ("ALREADY_FINALIZED", "BALANCE_ON_FINALIZED_INVOICE"):
            assert error["conflicting"] == {"id": ids["invoice"]}, case
            assert ids["number"] in error["message"], case
    assert await parts(deal.api, ids["contract"]) == before
    # After the void all that was in the way of archiving is gone.
    await void(deal.api, ids["invoice"])
    await done(
        deal.api, ids["contract"], archiveScheduledCharges=[ids["charge"]], archiveBalances=[ids["bought"], ids["gift"]]
    )
    again = await edit(deal.api, ids["contract"], archiveScheduledCharges=[ids["charge"]])
    assert refused(again) == ("ARCHIVED", ["input", "archiveScheduledCharges", "0"])
    again = await edit(deal.api, ids["contract"], archiveBalances=[ids["gift"]])
    assert refused(again) == ("ARCHIVED", ["input", "archiveBalances", "0"])
    await assert_sound(store, now)


async def test_a_subscription_does_not_end_behind_a_final_fee(deal: Deal) -> None:
    contract = await deal.signed(interval={"startingAt": OCTOBER}, subscriptions=[deal.subscription()])
    for draft in await deal.drafts(contract):
        if draft["date"] or draft["servicePeriod"]["startingAt"] == OCTOBER:
            await finalized(deal.api, draft["id"])
    earlier = [{"id": contract["subscriptions"][0]["id"], "endingBefore": "2026-10-15T00:00:00Z"}]
    answer = await edit(deal.api, contract["id"], updateSubscriptions=earlier)
    assert refused(answer) == ("ALREADY_FINALIZED", ["input", "updateSubscriptions", "0", "endingBefore"])


async def test_what_is_paid_for_a_balance_of_a_renewed_contract_is_settled(deal: Deal) -> None:
    first = await deal.signed(
        interval={"startingAt": OCTOBER},
        balances=[commit(("2027-01-01T00:00:00Z", "5"), name="bought", productId=deal.setup["id"])],
    )  # fmt: skip
    [balance] = await listed(deal.api, deal.customer["id"])
    payment: dict[str, Any] = {
        "updateBalances": [{"id": balance["id"], "payment": {"items": items(("2027-01-01T00:00:00Z", "6"))}}]
    }
    await done(deal.api, first["id"], **payment)
    await deal.signed(transition={"fromContractId": first["id"], "type": "RENEWAL"})
    answer = await edit(deal.api, first["id"], **payment)
    assert refused(answer) == ("ILLEGAL_TRANSITION", ["input", "updateBalances", "0", "payment"])


async def amend(api: Api, contract: str, **fields: Any) -> dict[str, Any]:
    return (await api(AMEND, id=contract, input=fields))["contractAmend"]


async def test_an_amendment_begins_its_terms_where_it_begins(deal: Deal, store: Store, now: datetime) -> None:
    contract = await deal.signed()
    start = "2026-11-10T00:00:00Z"
    answer = await amend(
        deal.api, contract["id"], startingAt=start, uniquenessKey="a1",
        add={
            "overrides": [{"change": {"multiplier": "0.5"}},
                          {"change": {"multiplier": "0.4"}, "startingAt": DECEMBER}],
            "subscriptions": [deal.subscription()], "recurringBalances": [monthly("2")],
        },
    )  # fmt: skip
    assert answer["userErrors"] == []
    made = answer["contract"]
    assert [item["startingAt"] for item in made["overrides"]] == [start, DECEMBER]
    assert made["subscriptions"] == [{"interval": {"startingAt": start}}]
    assert made["recurringBalances"] == [{"interval": {"startingAt": start}}]
    record = answer["edit"]
    assert (record["action"], record["amendmentId"], record["amendsFrom"]) == ("contract.amend", record["id"], start)
    assert {item["before"] is None for item in record["changes"]} == {True}
    # One space of keys with edits.
    assert refused(await edit(deal.api, contract["id"], name="x", uniquenessKey="a1"))[0] == "UNIQUENESS_KEY_CONFLICT"
    await done(deal.api, contract["id"], name="x")
    history = "query ($id: ID!) { contract(id: $id) { editHistory { nodes { amendmentId amendsFrom } } } }"
    found = (await deal.api(history, id=contract["id"]))["contract"]["editHistory"]["nodes"]
    assert found == [{"amendmentId": None, "amendsFrom": None}, {"amendmentId": record["id"], "amendsFrom": start}]
    await assert_sound(store, now)


async def test_amendments_that_are_refused(deal: Deal) -> None:
    contract = await deal.signed(interval={"startingAt": NOVEMBER, "endingBefore": "2027-11-01T00:00:00Z"})
    start = "2026-11-10T00:00:00Z"
    early = {"startingAt": NOVEMBER}
    wrong: list[tuple[str, dict[str, Any], str, list[str]]] = [
        ("2026-11-10T00:30:00Z", {}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        (OCTOBER, {}, "INVALID_INTERVAL", ["startingAt"]),
        ("2027-11-01T00:00:00Z", {}, "INVALID_INTERVAL", ["startingAt"]),
        (start, {}, "REQUIRED", []),
        (start, {"overrides": [{"change": {"multiplier": "2"}, **early}]}, "INVALID_INTERVAL", ["add", "overrides", "0", "startingAt"]),
        (start, {"subscriptions": [deal.subscription(**early)]}, "INVALID_INTERVAL", ["add", "subscriptions", "0", "startingAt"]),
        (start, {"scheduledCharges": [deal.charge((NOVEMBER, "1"))]}, "INVALID_INTERVAL", ["add", "scheduledCharges", "0", "items", "0", "at"]),
        (start, {"balances": [credit("1")]}, "INVALID_INTERVAL", ["add", "balances", "0", "access", "0", "startingAt"]),
        (start, {"recurringBalances": [monthly("1", **early)]}, "INVALID_INTERVAL", ["add", "recurringBalances", "0", "startingAt"]),
        (start, {"usageFilters": [{"key": "k", "values": ["v"], **early}]}, "INVALID_INTERVAL", ["add", "usageFilters", "0", "startingAt"]),
        (start, {"overrides": [{"change": {"multiplier": "-1"}}]}, "MULTIPLIER_NEGATIVE", ["add", "overrides", "0", "change"]),
    ]  # fmt: skip
    for at, add, code, path in wrong:
        answer = await amend(deal.api, contract["id"], startingAt=at, add=add)
        assert refused(answer) == (code, ["input", *path])


async def test_an_edit_and_an_amendment_warn_of_what_overlaps(api: Api) -> None:
    made = await seller(api)
    other = await builders.contract(
        api, made["customer"]["id"], made["contract"]["rateCard"]["id"], starting_at="2026-12-01T00:00:00Z"
    )
    for payload in (
        await edit(api, other["id"], name="second"),
        await amend(api, other["id"], startingAt=DECEMBER, add={"overrides": [{"change": {"multiplier": "2"}}]}),
    ):
        [warning] = payload["warnings"]
        assert made["contract"]["id"] in warning
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    final = await finalized(api, october["id"])
    answer = await edit(api, made["contract"]["id"], endingBefore="2026-10-06T00:00:00Z")
    assert [final["number"] in warning for warning in answer["warnings"]] == [True]
