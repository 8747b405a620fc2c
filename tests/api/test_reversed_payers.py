"""Reversals by who had paid: billed less reversed is what a replay of the truth bills, for every payer, now and later.

In each scene two customers agree on the same. One has four calls in October, of which two are reversed one after the other
when October is final; the other one never had those two. Three calls cost 10 each, further ones 4: 34 is billed, and 20
is the truth.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_consolidated import TOGETHER
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_outcome_reversals import refusal, reverse, sound
from tests.api.test_usage_ingest import event, ingest
from tests.invoices.recomputed import assert_all_same

__all__ = ["app"]

OCTOBER, NOVEMBER, NEXT = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2027-10-01T00:00:00Z"
CALLS = ("c1", "c2", "c3", "c4")
GONE = ("c1", "c4")
LINES = "query ($id: ID!) { invoice(id: $id) { contentHash subtotal { amount } lines { nodes { type amount { amount } balance { name } } } } }"
BALANCES = """
query ($id: ID!) { balances(customerId: $id) { nodes { name balance { amount } segments { interval { endingBefore } } } } }
"""
ENTRIES = """
{ outcomeReversals { nodes { statements { entries { amount { amount } paidBy { name } balance { name } } } } } }
"""
FINALS = "query ($id: ID!) { invoices(filter: {contractId: $id}) { nodes { id type } } }"
INVOICE = "invoice"


class Scene(NamedTuple):
    """What is agreed beside the price, and of each payer what it paid, what went back of it, and what is true."""

    terms: dict[str, Any]
    paid: dict[str, tuple[str, str, str]]
    then: dict[str, Any] | None = None
    """How the contract is renewed in November."""
    missing: str | None = None
    """What is missing of a postpaid commit when October alone counts, by the truth."""
    goes_on: bool = True
    """Whether the balance that had paid gets its share itself; else a credit with the same reach does."""
    gift: str = "0"
    """What the customer has beyond the truth, by which its balance would have expired unused."""


def balance(kind: str, amount: str, *, end: str = NEXT, **fields: Any) -> dict[str, Any]:
    access = {"amount": amount, **build.interval(OCTOBER, end)}
    return {"kind": kind, "name": kind.title(), "unit": "USD", "access": [access], **fields}


SCENES = {
    "nobody": Scene({"ending_before": "2026-12-01T00:00:00Z"}, {INVOICE: ("34", "14", "20")}),
    "a credit that lasts": Scene(
        {"balances": [balance("CREDIT", "25")]}, {INVOICE: ("9", "9", "0"), "Credit": ("25", "5", "20")}
    ),
    "a commit that has expired": Scene(
        {"balances": [balance("PREPAID", "25", end=NOVEMBER)]}, {INVOICE: ("9", "9", "0"), "Prepaid": ("25", "5", "20")},
        goes_on=False, gift="5",
    ),
    "a commit that has rolled over": Scene(
        {"balances": [balance("PREPAID", "50", rolloverFraction="1")]},
        {INVOICE: ("0", "0", "0"), "Prepaid": ("34", "14", "20")}, then={"type": "RENEWAL"}, goes_on=False,
    ),
    "a commit of a contract that is over": Scene(
        {"balances": [balance("PREPAID", "50")], "ending_before": NOVEMBER},
        {INVOICE: ("0", "0", "0"), "Prepaid": ("34", "14", "20")}, goes_on=False,
    ),
    "a promise": Scene(
        {"balances": [balance("POSTPAID", "100")]}, {INVOICE: ("34", "14", "20"), "Postpaid": ("34", "14", "20")},
        missing="80",
    ),
    "a promise that has rolled over": Scene(
        {"balances": [balance("POSTPAID", "40", rolloverFraction="1")]},
        {INVOICE: ("34", "14", "20"), "Postpaid": ("34", "14", "20")}, then={"type": "RENEWAL"},
    ),
    "a promise that was kept": Scene(
        {"balances": [balance("POSTPAID", "30", end=NOVEMBER)]},
        {INVOICE: ("34", "14", "20"), "Postpaid": ("30", "10", "20")}, missing="10",
    ),
}  # fmt: skip


async def priced(api: Api) -> dict[str, Any]:
    metric = await build.metric(api, "calls", aggregation="COUNT", aggregationKey=None, eventTypes=["call"])
    product = await build.product(api, "Calls", metric_id=metric["id"])
    return await build.rate_card(api, rates=[build.rate(product["id"], [("3", "10"), (None, "4")])])


async def party(api: Api, card: dict[str, Any], name: str, **terms: Any) -> dict[str, Any]:
    """A customer, and its contract since October."""
    customer = await build.customer(api, name, ingestAliases=[name])
    contract = await build.contract(api, customer["id"], card["id"], **{"starting_at": OCTOBER, **terms})
    return contract | {"customer": customer, "name": name}


async def call(api: Api, who: dict[str, Any], *names: str, month: int = 10) -> None:
    at = {name: f"2026-{month}-{1 if month == 11 else 5 + place:02}T10:00:00Z" for place, name in enumerate(names)}
    await ingest(
        api,
        *(
            event(f"{who['name']} {name}", customerId=who["name"], timestamp=at[name], eventType="call")
            for name in names
        ),
    )


async def first(api: Api, contract: dict[str, Any], kind: str = "USAGE") -> dict[str, Any]:
    return next(item for item in await drafts_of(api, contract=contract["id"]) if item["type"] == kind)


async def payers(api: Api, invoice_id: str) -> dict[str, Decimal]:
    """What each payer paid: the invoice in money, and balances by their names."""
    found = (await api(LINES, id=invoice_id))["invoice"]
    paid = {INVOICE: Decimal(found["subtotal"]["amount"])}
    for line in found["lines"]["nodes"]:
        if line["type"] == "APPLIED":
            name = line["balance"]["name"]
            paid[name] = paid.get(name, Decimal(0)) - Decimal(line["amount"]["amount"])
    return paid


async def given_back(api: Api, who: dict[str, Any], *names: str, goes_on: bool = True) -> dict[str, Decimal]:
    """What went back to each payer when these calls were reversed, one after the other."""
    found: dict[str, Decimal] = {}
    for name in names:
        answer = await reverse(api, f"{who['name']} {name}")
        assert answer["userErrors"] == []
        for entry in answer["outcomeReversal"]["statements"][0]["entries"]:
            payer = entry["paidBy"]["name"] if entry["paidBy"] else INVOICE
            assert (entry["balance"]["name"] == payer) is (goes_on and payer != INVOICE)
            found[payer] = found.get(payer, Decimal(0)) + Decimal(entry["amount"]["amount"])
    return found


async def stands(api: Api, who: dict[str, Any], *contracts: dict[str, Any]) -> Decimal:
    """What open invoices of contracts ask a customer for, less what it can still use of what was bought or given."""
    drafts = [item for contract in contracts for item in await drafts_of(api, contract=contract["id"])]
    balances = (await api(BALANCES, id=who["customer"]["id"]))["balances"]["nodes"]
    asked = [Decimal(item["subtotal"]["amount"]) for item in drafts if item["type"] != "USAGE_CONSOLIDATED"]
    left = [Decimal(one["balance"]["amount"]) for one in balances if one["name"] != "Postpaid"]
    return sum(asked, Decimal(0)) - sum(left, Decimal(0))


async def finals(api: Api, contract: dict[str, Any]) -> list[dict[str, Any]]:
    return (await api(FINALS, id=contract["id"]))["invoices"]["nodes"]


async def latest(api: Api, contract: dict[str, Any]) -> dict[str, Any]:
    """The draft of November's consolidated invoice."""
    drafts = await drafts_of(api, contract=contract["id"])
    return [item for item in drafts if item["type"] == "USAGE_CONSOLIDATED"][-1]


async def test_billed_less_reversed_is_the_truth_for_every_payer(api: Api, store: Store, now: datetime) -> None:
    card = await priced(api)
    for name, scene in SCENES.items():
        lived, truth = [await party(api, card, f"{name} {which}", **scene.terms) for which in ("lived", "truth")]
        await call(api, lived, *CALLS)
        await call(api, truth, *(one for one in CALLS if one not in GONE))
        contracts = {}
        for who in (lived, truth):
            contracts[who["name"]] = [who]
            if scene.then:
                follows = {"fromContractId": who["id"], **scene.then}
                contracts[who["name"]].append(
                    await build.contract(
                        api, who["customer"]["id"], card["id"], starting_at=NOVEMBER, transition=follows
                    )
                )
        final = await finalized(api, (await first(api, lived))["id"])
        billed = await payers(api, final["id"])
        back = await given_back(api, lived, *GONE, goes_on=scene.goes_on)
        other = await finalized(api, (await first(api, truth))["id"])
        true = await payers(api, other["id"])
        table = {
            payer: tuple(found.get(payer, Decimal(0)) for found in (billed, back, true))
            for payer in {*billed, *back, *true}
        }
        assert table == {payer: tuple(map(Decimal, amounts)) for payer, amounts in scene.paid.items()}, name
        assert all(paid - returned == due for paid, returned, due in table.values()), name
        if scene.missing is not None:
            assert [(await first(api, who, "TRUEUP"))["total"]["amount"] for who in (lived, truth)] == [
                scene.missing
            ] * 2
        # It stays so when life goes on: after one more call both have paid the same in all.
        for who in (lived, truth):
            await call(api, who, "more", month=11)
        paid_in_all, due_in_all = [
            Decimal(one["subtotal"]["amount"]) + await stands(api, who, *contracts[who["name"]])
            for one, who in ((final, lived), (other, truth))
        ]
        assert paid_in_all == due_in_all - Decimal(scene.gift), name
        assert (await api(LINES, id=final["id"]))["invoice"]["contentHash"] == final["contentHash"]
        # What was paid in money does not end with the contract.
        held = (await api(BALANCES, id=lived["customer"]["id"]))["balances"]["nodes"]
        ends = [
            one["segments"][0]["interval"]["endingBefore"]
            for one in held
            if one["name"] == f"Outcome reversal of {final['number']}"
        ]
        assert [end[:4] for end in ends] == ["2036"] * (scene.paid[INVOICE][1] != "0"), name
    assert await sound(store, now) == len(GONE) * len(SCENES)
    assert await assert_all_same(store) == 2 * len(SCENES)


async def family(api: Api, card: dict[str, Any], name: str, **parent: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A parent who pays for a child and puts their statements together."""
    customer = await build.customer(api, name, ingestAliases=[name])
    together = {"invoiceConsolidationType": "CONCATENATE"}
    route = await build.configuration(api, customer["id"], connection="us")
    whole = await build.contract(
        api, customer["id"], card["id"], starting_at=OCTOBER, hierarchy=together, billingConfigurationId=route["id"],
        **parent,
    )  # fmt: skip
    above = {"parent": {"customerId": customer["id"], "contractId": whole["id"]}, **TOGETHER}
    ends = {"ending_before": parent["ending_before"]} if "ending_before" in parent else {}
    branch = await party(api, card, f"{name} branch", hierarchy=above, **ends)
    return {**whole, "customer": customer, "name": name}, branch


async def test_a_parent_gets_back_what_its_balance_and_its_invoice_paid(api: Api, store: Store, now: datetime) -> None:
    """The parent's call takes 10 of the pool of 25, the child's four the rest: 19 of 34 are due on the parent's invoice.

    By the truth the child had one call: the pool pays it, nothing is due, and 5 of the pool are left.
    """
    card = await priced(api)
    pool = {"balances": [balance("CREDIT", "25", childAccess={"type": "ALL"})]}
    (lived, branch), (truth, twin) = [await family(api, card, name, **pool) for name in ("lived", "truth")]
    for who, names in ((lived, CALLS[:1]), (truth, CALLS[:1]), (branch, CALLS), (twin, CALLS[:1])):
        await call(api, who, *names)
    part = await finalized(api, (await first(api, branch))["id"])
    await finalized(api, (await first(api, lived))["id"])
    [whole] = [item for item in await finals(api, lived) if item["type"] == "USAGE_CONSOLIDATED"]
    before = await api(LINES, id=whole["id"])
    assert before["invoice"]["subtotal"]["amount"] == "19"
    assert await payers(api, part["id"]) == {INVOICE: Decimal(19), "Credit": Decimal(15)}
    assert await payers(api, (await first(api, twin))["id"]) == {INVOICE: Decimal(0), "Credit": Decimal(10)}
    assert await given_back(api, branch, *CALLS[1:]) == {INVOICE: Decimal(19), "Credit": Decimal(5)}
    assert await api(LINES, id=whole["id"]) == before
    # The child's customer is told what came back, and nothing of the balance of another one.
    own = await api.with_scopes("invoices:read", "contracts:read", customerId=branch["customer"]["id"])
    seen = (await own(ENTRIES))["outcomeReversals"]["nodes"][0]["statements"][0]["entries"]
    assert {(entry["paidBy"] and 1, (entry["balance"] or {}).get("name")) for entry in seen} <= {
        (None, None), (None, "Outcome reversal of INV-000001"),
    }  # fmt: skip
    # The parent's next invoice is lower by what the last one asked for too much.
    for child in (branch, twin):
        await call(api, child, *(f"more {place}" for place in range(3)), month=11)
    november = [await latest(api, who) for who in (lived, truth)]
    assert [item["total"]["amount"] for item in november] == ["6", "25"]
    assert await sound(store, now) == 3
    # A correction goes from the whole to the part and back, and what went back goes with it.
    for invoice_id in (whole["id"], part["id"]):
        assert (await void(api, invoice_id))["userErrors"] == []
    assert await refusal(api, f"{branch['name']} c1") == ("ALREADY_VOID", ["input", "transactionId"])
    assert (await latest(api, lived))["total"]["amount"] == "15", "the void part has left its share in the pool"
    for invoice_id in (part["id"], whole["id"]):
        assert (await regenerate(api, invoice_id))["userErrors"] == []
    assert (await latest(api, lived))["total"]["amount"] == "6"
    assert await sound(store, now) == 2 * 3, "those of both invoices"
    assert await assert_all_same(store) == 5


async def test_what_a_true_up_has_billed_is_voided_first(api: Api, store: Store, now: datetime) -> None:
    """Parent and child had promised 100 for October, and used 44 of it: 56 were missing, and 14 more by the truth."""
    card = await priced(api)
    promise = balance("POSTPAID", "100", end=NOVEMBER, childAccess={"type": "ALL"})
    parent, child = await family(api, card, "group", balances=[promise], ending_before=NOVEMBER)
    await call(api, parent, "c1")
    await call(api, child, *CALLS)
    for contract in (child, parent):
        await finalized(api, (await first(api, contract))["id"])
    true_up = await finalized(api, (await first(api, parent, "TRUEUP"))["id"])
    assert true_up["total"]["amount"] == "56"
    assert await refusal(api, f"{child['name']} c1") == ("ALREADY_FINALIZED", ["input", "transactionId"])
    assert (await void(api, true_up["id"]))["userErrors"] == []
    assert await given_back(api, child, *GONE) == {INVOICE: Decimal(14), "Postpaid": Decimal(14)}
    again = await regenerate(api, true_up["id"])
    assert (again["userErrors"], again["invoice"]["total"]["amount"]) == ([], "70")
    assert await sound(store, now) == 2
    await assert_all_same(store)


async def test_what_went_back_to_a_parent_that_is_over_goes_with_the_invoice(
    api: Api, store: Store, now: datetime
) -> None:
    """The pool of a parent that has ended pays 15 of 34: its share of three calls is a credit of the parent's customer."""
    card = await priced(api)
    pool = balance("CREDIT", "25", childAccess={"type": "ALL"})
    parent, child = await family(api, card, "group", balances=[pool], ending_before=NOVEMBER)
    await call(api, parent, "c1")
    await call(api, child, *CALLS)
    part = await finalized(api, (await first(api, child))["id"])
    await finalized(api, (await first(api, parent))["id"])
    [whole] = [item for item in await finals(api, parent) if item["type"] == "USAGE_CONSOLIDATED"]
    back = await given_back(api, child, *CALLS[1:], goes_on=False)
    assert back == {INVOICE: Decimal(19), "Credit": Decimal(5)}
    assert await refunds(api, parent, child) == (Decimal(5), Decimal(19))
    for invoice_id in (whole["id"], part["id"]):
        assert (await void(api, invoice_id))["userErrors"] == []
    assert await refunds(api, parent, child) == (Decimal(0), Decimal(0))
    for invoice_id in (part["id"], whole["id"]):
        assert (await regenerate(api, invoice_id))["userErrors"] == []
    assert await refunds(api, parent, child) == (Decimal(5), Decimal(19))
    assert await sound(store, now) == 2 * 3, "those of both invoices"
    assert await assert_all_same(store) == 5


async def refunds(api: Api, *parties: dict[str, Any]) -> tuple[Decimal, ...]:
    """What each of them can use of what was given back."""
    found: list[Decimal] = []
    for who in parties:
        held = (await api(BALANCES, id=who["customer"]["id"]))["balances"]["nodes"]
        left = (Decimal(one["balance"]["amount"]) for one in held if one["name"].startswith("Outcome reversal"))
        found.append(sum(left, Decimal(0)))
    return tuple(found)
