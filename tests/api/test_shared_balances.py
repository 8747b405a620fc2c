"""Balances of a parent that its children draw on, through the API: one view for all drafts, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_balances import CREATE, LINES, YEAR, credit, listed
from tests.api.test_hierarchies import child, group
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_simulations import preview, totals
from tests.api.test_usage_ingest import event, ingest
from tests.invoices.recomputed import assert_all_same

__all__ = ["app"]

ALL = {"type": "ALL"}
LEDGER = """query ($customer: ID!) { balances(customerId: $customer) { nodes { id childAccess { type contractIds }
  childAccessChanges { startingAt childAccess { type contractIds } }
  balance { amount } ledger { nodes { type amount { amount } isDraft invoiceId contract { id } } } } } }"""
EDIT = """mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) {
  contract { id } userErrors { code path message } } }"""
ACCESS = """mutation ($id: ID!, $input: BalanceUpdateInput!) { balanceUpdate(id: $id, input: $input) {
  balance { id } userErrors { code message path conflicting { id } } } }"""
HISTORY = "query ($id: ID!) { contract(id: $id) { editHistory(first: 1) { nodes { action changes { after } } } } }"
DAYS = "query ($id: ID!) { invoice(id: $id) { breakdowns(windowSize: DAY) { nodes { total { amount } } } } }"
EXPLAINED = """query ($id: ID!) { invoice(id: $id) { lines { nodes { type balance { id }
  explanation { inWords balance { available { amount } } } } } } }"""


async def sold(api: Api, *names: str, access: dict[str, Any] = ALL, amount: str = "10") -> dict[str, Any]:
    """A group whose parent has a credit, and children; in October 40 tokens of the parent, 30 and 50 of children."""
    made = await group(api, balances=[credit(amount, childAccess=access)])
    made["children"] = [await child(api, made, name) for name in names]
    used = {"group": "40", "branch": "30", "other": "50"}
    await ingest(
        api,
        *(
            event(name, customerId=name, timestamp="2026-10-05T10:00:00Z", properties={"n": used[name]})
            for name in ("group", *names)
        ),
    )
    return made


async def october(api: Api, contract: dict[str, Any]) -> dict[str, Any]:
    """The first open statement of a contract."""
    return (await drafts_of(api, contract=contract["id"]))[0]


async def drawn(api: Api, made: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Contract, amount and state of each draw on the parent's balance, as its ledger tells them."""
    [found] = (await api(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]
    return [
        (entry["contract"]["id"], entry["amount"]["amount"], entry["isDraft"])
        for entry in found["ledger"]["nodes"]
        if entry["contract"] is not None
    ]


async def test_drafts_of_a_family_share_one_view_of_the_balance(api: Api, store: Store, now: datetime) -> None:
    """10 for 4, 3 and 5: the parent and the first child are paid in full, 3 of 5 of the last; whoever is asked first."""
    made = await sold(api, "branch", "other")
    branch, other = made["children"]
    parent = made["contract"]
    for contract, due in ((other, "2"), (branch, "0"), (parent, "0")):
        assert (await october(api, contract))["total"]["amount"] == due
    draws = [(parent["id"], "-4", True), (branch["id"], "-3", True), (other["id"], "-3", True)]
    assert sorted(await drawn(api, made)) == sorted(draws)
    assert await listed(api, branch["customer"]["id"]) == [], "the parent's balances are asked of the parent"
    # The last of them becomes final first, and takes what the others leave it.
    last = await finalized(api, (await october(api, other))["id"])
    assert last["total"]["amount"] == "2"
    draws[2] = (other["id"], "-3", False)
    assert sorted(await drawn(api, made)) == sorted(draws)
    first = await october(api, branch)
    final = await finalized(api, first["id"])
    assert (final["id"], final["total"]["amount"]) == (first["id"], "0")
    reader = await api.with_scopes(
        "invoices:read", "contracts:read", "catalog:read", customerId=branch["customer"]["id"]
    )
    lines = (await reader(EXPLAINED, id=first["id"]))["invoice"]["lines"]["nodes"]
    assert [(line["balance"], line["explanation"]["balance"]) for line in lines] == [(None, None)] * 2
    [paid, _] = (await api(LINES, id=first["id"]))["invoice"]["lines"]["nodes"]
    [balance] = (await api(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]
    assert (paid["balance"]["id"], balance["balance"]["amount"]) == (balance["id"], "0")
    owner = await api.with_scopes("contracts:read", "invoices:read", customerId=made["customer"]["id"])
    [seen] = (await owner(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]
    named = {entry["contract"] and entry["contract"]["id"] for entry in seen["ledger"]["nodes"]}
    assert named == {None, parent["id"]}
    # What a void child invoice gives back is there for all, and is drawn again when it is made again.
    assert (await void(api, first["id"]))["userErrors"] == []
    assert (await october(api, parent))["total"]["amount"] == "0"
    [balance] = (await api(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]
    assert balance["balance"]["amount"] == "3"
    again = (await regenerate(api, first["id"]))["invoice"]
    assert again["total"]["amount"] == "0"
    await finalized(api, (await october(api, parent))["id"])
    assert await assert_all_same(store) == 4
    await assert_sound(store, now)


async def test_all_at_once_spend_a_shared_balance_once(api: Api, store: Store, now: datetime) -> None:
    """Every statement of the family becomes final at the same time, each asked for twice."""
    made = await sold(api, "branch", "other")
    ids = [(await october(api, contract))["id"] for contract in (made["contract"], *made["children"])]
    totals = [invoice["total"]["amount"] for invoice in await asyncio.gather(*(finalized(api, one) for one in ids * 2))]
    assert sum(map(Decimal, totals[:3])) == Decimal(2)
    assert totals[:3] == totals[3:]
    assert not any(is_draft for _, _, is_draft in await drawn(api, made))
    await assert_sound(store, now)


async def test_own_balances_come_first_and_only_named_children_share(api: Api, store: Store, now: datetime) -> None:
    """Of two alike the child's own pays first; a child that is not named draws nothing."""
    made = await group(api)
    branch, other = [
        await child(api, made, name, balances=[credit("1")] if name == "branch" else []) for name in ("branch", "other")
    ]
    shared = credit("10", childAccess={"type": "CONTRACT_IDS", "contractIds": [branch["id"]]})
    edit = {"add": {"balances": [shared]}}
    assert (await api(EDIT, id=made["contract"]["id"], input=edit))["contractEdit"]["userErrors"] == []
    for name in ("branch", "other"):
        used = {"customerId": name, "timestamp": "2026-10-05T10:00:00Z", "properties": {"n": "30"}}
        await ingest(api, event(name, **used))
    assert [(await october(api, contract))["total"]["amount"] for contract in (branch, other)] == ["0", "3"]
    assert await drawn(api, made) == [(branch["id"], "-2", True)]
    [own] = await listed(api, branch["customer"]["id"])
    assert own["balance"]["amount"] == "0"
    await finalized(api, (await october(api, branch))["id"])
    await finalized(api, (await october(api, other))["id"])
    assert await assert_all_same(store) == 2
    await assert_sound(store, now)


async def test_a_postpaid_commit_counts_what_children_use(api: Api, store: Store, now: datetime) -> None:
    """10 promised for October, 4 and 3 used: 3 are missing, and are billed when the child's statement is final too."""
    access = [{"amount": "10", "startingAt": YEAR["startingAt"], "endingBefore": "2026-11-01T00:00:00Z"}]
    payment = {"items": [{"at": "2026-11-01T00:00:00Z", "unitPrice": "10"}]}
    promise = {"kind": "POSTPAID", "unit": "USD", "access": access, "payment": payment, "childAccess": ALL}
    made = await group(api, balances=[promise])
    branch = await child(api, made)
    for name, used in (("group", "40"), ("branch", "30")):
        await ingest(api, event(name, customerId=name, timestamp="2026-10-05T10:00:00Z", properties={"n": used}))
    drafts = {
        (draft["contract"]["id"], draft["type"]): draft
        for draft in await drafts_of(api, contract=made["contract"]["id"])
    }
    true_up = drafts[made["contract"]["id"], "TRUEUP"]
    assert true_up["total"]["amount"] == "3"
    await finalized(api, (await october(api, made["contract"]))["id"])
    refused = await api("mutation ($id: ID!) { invoiceFinalize(id: $id) { userErrors { code } } }", id=true_up["id"])
    assert refused["invoiceFinalize"]["userErrors"] == [{"code": "NOT_DUE"}]
    await finalized(api, (await october(api, branch))["id"])
    assert (await finalized(api, true_up["id"]))["total"]["amount"] == "3"
    over = "query ($id: ID!) { balances(customerId: $id, filter: {status: [EXPIRED]}) { nodes { id } } }"
    [commit] = (await api(over, id=made["customer"]["id"]))["balances"]["nodes"]
    [error] = await change_access(api, commit["id"], "NONE")
    assert (error["code"], error["path"]) == ("BALANCE_ON_FINALIZED_INVOICE", ["input", "childAccess"])
    await assert_sound(store, now)


async def change_access(api: Api, balance: str, kind: str, *ids: str, at: str | None = None) -> list[dict[str, Any]]:
    access = {"type": kind, "contractIds": list(ids), **({} if at is None else {"startingAt": at})}
    return (await api(ACCESS, id=balance, input={"childAccess": access}))["balanceUpdate"]["userErrors"]


async def test_who_may_draw_changes_from_an_hour_on(api: Api, store: Store, now: datetime) -> None:
    """3 on the 5th and 2 on the 20th of October: from the 15th on the child may draw, so 3 of 5 are due."""
    made = await sold(api, "branch", "other", access={"type": "NONE"})
    branch, other = made["children"]
    await ingest(api, event("later", customerId="branch", timestamp="2026-10-20T10:00:00Z", properties={"n": "20"}))
    [balance] = [item["id"] for item in (await api(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]]
    assert (await october(api, branch))["total"]["amount"] == "5"
    assert await change_access(api, balance, "CONTRACT_IDS", branch["id"], at="2026-10-15T00:00:00Z") == []
    assert [(await october(api, child))["total"]["amount"] for child in (branch, other)] == ["3", "5"]
    assert sorted(await drawn(api, made)) == sorted([(made["contract"]["id"], "-4", True), (branch["id"], "-2", True)])
    record = (await api(HISTORY, id=made["contract"]["id"]))["contract"]["editHistory"]["nodes"][0]
    assert (record["action"], record["changes"][0]["after"]["childAccessChanges"]) == (
        "balance.update",
        [{"startingAt": "2026-10-15T00:00:00+00:00", "access": "CONTRACT_IDS", "contractIds": [branch["id"]]}],
    )
    # What a final invoice has drawn stays allowed, until it is void; from later on it may be taken away.
    final = await finalized(api, (await october(api, branch))["id"])
    assert final["total"]["amount"] == "3"
    for start in ("2026-10-15T00:00:00Z", "2026-10-25T00:00:00Z"):
        [error] = await change_access(api, balance, "NONE", at=start)
        assert (error["code"], error["path"]) == (
            "BALANCE_ON_FINALIZED_INVOICE", ["input", "childAccess", "startingAt"]
        )  # fmt: skip
        assert error["conflicting"] == {"id": final["id"]}
    assert await change_access(api, balance, "ALL", at="2026-10-25T00:00:00Z") == []
    assert await change_access(api, balance, "NONE") == []
    [seen] = (await api(LEDGER, customer=made["customer"]["id"]))["balances"]["nodes"]
    assert seen["childAccess"] == {"type": "NONE", "contractIds": []}
    assert [(item["startingAt"], item["childAccess"]["type"]) for item in seen["childAccessChanges"]] == [
        ("2026-10-15T00:00:00Z", "CONTRACT_IDS"), ("2026-10-25T00:00:00Z", "ALL"), ("2026-11-02T12:00:00Z", "NONE"),
    ]  # fmt: skip
    days = (await api(DAYS, id=final["id"]))["invoice"]["breakdowns"]["nodes"]
    assert [day["total"]["amount"] for day in days] == ["3", "0"]
    assert (await void(api, final["id"]))["userErrors"] == []
    edit = {"updateBalances": [{"id": balance, "childAccess": {"type": "NONE", "startingAt": "2026-10-01T00:00:00Z"}}]}
    assert (await api(EDIT, id=made["contract"]["id"], input=edit))["contractEdit"]["userErrors"] == []
    assert await change_access(api, balance, "NONE", at="2026-10-15T00:00:00Z") == []
    assert (await regenerate(api, final["id"]))["invoice"]["total"]["amount"] == "5"
    # Nothing is said of whom nobody could mean.
    own = await api(CREATE, input={"customerId": made["customer"]["id"], "terms": credit("1", priority="1")})
    cases: list[tuple[str, tuple[str, ...], str | None, str, list[str]]] = [
        (balance, ("CONTRACT_IDS",), None, "REQUIRED", ["contractIds"]),
        (balance, ("CONTRACT_IDS", made["contract"]["id"]), None, "NOT_FOUND", ["contractIds"]),
        (balance, ("ALL",), "2026-11-01T00:30:00Z", "NOT_HOUR_ALIGNED", ["startingAt"]),
        (own["balanceCreate"]["balance"]["id"], ("NONE",), None, "INVALID", []),
    ]
    for identifier, access, start, code, path in cases:
        [error] = await change_access(api, identifier, *access, at=start)
        assert (error["code"], error["path"]) == (code, ["input", "childAccess", *path])
    assert await assert_all_same(store) == 2
    await assert_sound(store, now)


async def test_who_cannot_draw_is_refused(api: Api) -> None:
    made = await group(api)
    branch = await child(api, made)
    stranger = await build.contract(api, branch["customer"]["id"], made["card"]["id"])

    def named(*ids: str) -> dict[str, Any]:
        return {"type": "CONTRACT_IDS", "contractIds": list(ids)}

    place = ["input", "add", "balances", "0", "childAccess"]
    cases: list[tuple[str, dict[str, Any], str, list[str]]] = [
        (made["contract"]["id"], named(), "REQUIRED", [*place, "contractIds"]),
        (made["contract"]["id"], {"type": "ALL", "contractIds": [branch["id"]]}, "INVALID", [*place, "contractIds"]),
        (made["contract"]["id"], named(branch["id"], stranger["id"]), "NOT_FOUND", [*place, "contractIds"]),
        (made["contract"]["id"], named(made["customer"]["id"]), "INVALID", [*place, "contractIds"]),
        (branch["id"], ALL, "INVALID", place),
    ]
    for contract, access, code, path in cases:
        edit = {"add": {"balances": [credit("1", childAccess=access)]}}
        [error] = (await api(EDIT, id=contract, input=edit))["contractEdit"]["userErrors"]
        assert (error["code"], error["path"]) == (code, path), error
    terms = credit("1", priority="1", childAccess=ALL)
    answer = (await api(CREATE, input={"customerId": made["customer"]["id"], "terms": terms}))["balanceCreate"]
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [
        ("INVALID", ["input", "terms", "childAccess"])
    ]


async def test_a_preview_of_a_child_draws_on_the_parents_balance(api: Api, store: Store) -> None:
    """At 0.4 instead of 0.1 the child's October comes to 12, of which the shared 10 pay what they have."""
    made = await sold(api, "branch")
    [branch] = made["children"]
    await finalized(api, (await october(api, branch))["id"])
    dearer = await build.rate_card(api, "dear", rates=[build.rate(made["product"]["id"], "0.4")])
    change = {"prices": {"contractId": branch["id"], "rateCardId": dearer["id"]}}
    found = await preview(api, store, change, interval=build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"))
    assert totals(found) == [("10", "0", "2")]
