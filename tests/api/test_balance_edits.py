"""Commits and credits changed after they were made: drafts follow, final invoices stay and forbid."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_access_audit import entries
from tests.api.test_balance_queries import access
from tests.api.test_balances import ADJUST, create, credit, listed
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

OCTOBER, NOVEMBER, DECEMBER, NEXT = (
    "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-10-01T00:00:00Z",
)  # fmt: skip
BALANCE = """
balance { id name description priority rateType rolloverFraction revision archivedAt status appliesTo { tags }
  payment { currency items { nodes { at unitPrice } } } balance { amount }
  segments { number amount { amount } interval { startingAt endingBefore } remaining { amount } } }
userErrors { code message path status conflicting { id } }
"""
UPDATE = f"""
mutation ($id: ID!, $input: BalanceUpdateInput!, $revision: Int) {{
  balanceUpdate(id: $id, input: $input, revision: $revision) {{ {BALANCE} }} }}
"""
ARCHIVE = f"mutation ($id: ID!, $revision: Int) {{ balanceArchive(id: $id, revision: $revision) {{ {BALANCE} }} }}"
END = f"""
mutation ($id: ID!, $access: DateTime, $invoices: DateTime) {{
  balanceUpdateEndDate(id: $id, accessEndingBefore: $access, invoicesEndingBefore: $invoices) {{ {BALANCE} }} }}
"""


async def update(api: Api, balance: str, *, revision: int | None = None, **changes: Any) -> dict[str, Any]:
    return (await api(UPDATE, id=balance, input=changes, revision=revision))["balanceUpdate"]


async def archive(api: Api, balance: str) -> dict[str, Any]:
    return (await api(ARCHIVE, id=balance))["balanceArchive"]


async def end(api: Api, balance: str, **ends: str) -> dict[str, Any]:
    return (await api(END, id=balance, **ends))["balanceUpdateEndDate"]


def done(payload: dict[str, Any]) -> dict[str, Any]:
    assert payload["userErrors"] == []
    return payload["balance"]


def refused(payload: dict[str, Any]) -> tuple[str, list[str] | None, str | None]:
    """Code, path, and the id of the invoice that is named."""
    assert payload["balance"] is None, payload
    [error] = payload["userErrors"]
    return error["code"], error["path"], error["conflicting"] and error["conflicting"]["id"]


async def totals(api: Api, customer: str) -> list[str]:
    return [draft["total"]["amount"] for draft in await drafts_of(api, customer=customer)]


def commit(*payments: tuple[str, str], amount: str = "5", **fields: Any) -> dict[str, Any]:
    payment = {"payment": {"items": [{"at": at, "unitPrice": price} for at, price in payments]}} if payments else {}
    return credit(amount, kind="PREPAID", **payment, **fields)


async def sold(api: Api, *balances: dict[str, Any], **terms: Any) -> tuple[str, list[str]]:
    """The customer of a contract with these balances, and their ids; October comes to 1.25295, November to 0.5."""
    made = await seller(api, balances=list(balances), **terms)
    customer = made["customer"]["id"]
    found = await listed(api, customer, status=["ACTIVE", "UPCOMING", "EXPIRED"])
    return customer, [item["id"] for item in found]


async def test_drafts_follow_a_change_at_once(api: Api) -> None:
    customer, [balance] = await sold(api, credit("1"))
    assert await totals(api, customer) == ["0.25295", "0.5"]
    changed = done(await update(api, balance, access={"update": [{"number": 0, "amount": "1.5"}]}))
    assert (changed["revision"], changed["segments"][0]["amount"]["amount"]) == (2, "1.5")
    assert await totals(api, customer) == ["0", "0.25295"]
    done(await update(api, balance, appliesTo={"specifiers": [{"pricing": build.pairs({"region": "us"})}]}))
    assert await totals(api, customer) == ["0.25295", "0"]
    done(await update(api, balance, appliesTo=None, access={"update": [{"number": 0, "startingAt": NOVEMBER}]}))
    assert await totals(api, customer) == ["1.25295", "0"]


async def test_words_and_numbers_change_and_go(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    made = (await create(api, customer, credit(priority="9", description="first", rolloverFraction="0.5")))["balance"]
    changed = done(await update(api, made["id"], name="Gift", priority="1", rateType="COMMIT_RATE"))
    assert (changed["name"], changed["description"], changed["priority"]) == ("Gift", "first", "1")
    assert (changed["rateType"], changed["rolloverFraction"]) == ("COMMIT_RATE", "0.5")
    changed = done(await update(api, made["id"], description=None, rolloverFraction=None, revision=2))
    assert (changed["name"], changed["description"], changed["rolloverFraction"]) == ("Gift", None, None)
    assert refused(await update(api, made["id"], name="x", revision=2))[0] == "STALE_REVISION"
    [entry, *_] = await entries(api, action="balance.update", outcome="ok")
    assert (entry["before"]["description"], entry["after"]["description"]) == ("first", None)
    assert (entry["before"]["rolloverFraction"], entry["after"]["rolloverFraction"]) == ("0.5", None)


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"priority": None}, "REQUIRED", ["priority"]),
        ({"rateType": None}, "REQUIRED", ["rateType"]),
        ({"priority": "-1"}, "INVALID", ["priority"]),
        ({"name": " "}, "REQUIRED", ["name"]),
        ({"productId": "prd_" + "0" * 32}, "NOT_FOUND", ["productId"]),
        ({"rolloverFraction": "2"}, "INVALID", ["rolloverFraction"]),
        ({"contractIds": ["con_" + "0" * 32]}, "NOT_FOUND", ["contractIds"]),
        ({"appliesTo": {"tags": ["a"], "specifiers": [{"tags": ["b"]}]}}, "SCOPE_EXCLUSIVE", ["specifiers"]),
        ({"payment": {"items": [{"at": NOVEMBER, "unitPrice": "1"}], "doNotInvoice": True}}, "INVALID", ["payment"]),
        ({"access": {"remove": [0]}}, "REQUIRED", ["segments"]),
        ({"access": {"remove": [1]}}, "NOT_FOUND", ["access", "remove", "0"]),
        ({"access": {"remove": [0, 0]}}, "INVALID", ["access", "remove", "1"]),
        ({"access": {"update": [{"number": 7}]}}, "NOT_FOUND", ["access", "update", "0", "number"]),
        ({"access": {"update": [{"number": 0, "amount": "-1"}]}}, "INVALID", ["access", "update", "0", "amount"]),
        ({"access": {"update": [{"number": 0, "endingBefore": OCTOBER}]}}, "INVALID_INTERVAL", ["access", "update", "0", "endingBefore"]),
        ({"access": {"add": [access("1", "2026-11-01T00:30:00Z", DECEMBER)]}}, "NOT_HOUR_ALIGNED", ["access", "add", "0", "startingAt"]),
    ],
)  # fmt: skip
async def test_wrong_changes_leave_nothing(api: Api, changes: dict[str, Any], code: str, path: list[str]) -> None:
    customer = (await build.customer(api))["id"]
    made = (await create(api, customer, credit(priority="1")))["balance"]
    assert refused(await update(api, made["id"], **{"name": "changed", **changes})) == (code, ["input", *path], None)
    [found] = await listed(api, customer)
    assert (found["name"], len(found["segments"])) == ("gift", 1)


async def test_a_segment_that_paid_on_a_final_invoice_stays(api: Api) -> None:
    """October took 1.25295 of segment 0; segment 1 paid nothing and goes, with its entry by hand."""
    two = [access("5", OCTOBER, NOVEMBER), access("7", NOVEMBER, DECEMBER)]
    customer, [balance] = await sold(api, {**credit(), "access": two})
    october, _ = await drafts_of(api, customer=customer)
    final = await finalized(api, october["id"])
    entry = {"id": balance, "segment": 1, "amount": "3", "reason": "for later"}
    assert (await api(ADJUST, input=entry))["balanceAdjust"]["userErrors"] == []
    used = ("BALANCE_ON_FINALIZED_INVOICE", ["input", "access", "remove"], final["id"])
    assert refused(await update(api, balance, access={"remove": [0]})) == used
    low = {"update": [{"number": 0, "amount": "1.2529"}]}
    assert refused(await update(api, balance, access=low)) == (used[0], ["input", "access", "update"], final["id"])
    done(await update(api, balance, access={"update": [{"number": 0, "amount": "1.25295"}]}))
    changed = done(await update(api, balance, access={"remove": [1], "add": [access("2", DECEMBER, NEXT)]}))
    assert [(item["number"], item["remaining"]["amount"]) for item in changed["segments"]] == [(0, "0"), (2, "2")]
    [found] = await listed(api, customer)
    assert [entry["type"] for entry in found["ledger"]["nodes"]] == [
        "CREDIT_SEGMENT_START", "CREDIT_AUTOMATED_INVOICE_DEDUCTION",
    ]  # fmt: skip
    assert await totals(api, customer) == ["0.5"]
    await void(api, final["id"])
    done(await update(api, balance, access={"remove": [0]}))
    assert (await regenerate(api, final["id"]))["invoice"]["total"]["amount"] == "1.25"


async def test_payments_on_final_invoices_stay(api: Api) -> None:
    """80 on November 1 is billed; what comes later moves, and a void invoice lets its payment change but not go."""
    customer, [balance] = await sold(api, commit((NOVEMBER, "80"), (DECEMBER, "20")))
    [purchase] = [draft for draft in await drafts_of(api, customer=customer) if draft["type"] == "SCHEDULED"]
    final = await finalized(api, purchase["id"])
    fixed = ("ALREADY_FINALIZED", ["input", "payment"], final["id"])

    def payment(*items: tuple[str, str], **fields: Any) -> dict[str, Any]:
        return commit(*items)["payment"] | fields

    assert refused(await update(api, balance, payment=None)) == fixed
    assert refused(await update(api, balance, payment=payment((DECEMBER, "20")))) == fixed
    assert refused(await update(api, balance, payment=payment((NOVEMBER, "79")))) == fixed
    assert refused(await update(api, balance, payment=payment((NOVEMBER, "80"), doNotInvoice=True))) == fixed
    assert refused(await update(api, balance, payment=payment((NOVEMBER, "80"), currency="EUR"))) == fixed
    changed = done(await update(api, balance, payment=payment((NOVEMBER, "80"), (NOVEMBER, "5"))))
    assert [item["unitPrice"] for item in changed["payment"]["items"]["nodes"]] == ["80", "5"]
    fresh = [draft for draft in await drafts_of(api, customer=customer) if draft["type"] == "SCHEDULED"]
    assert [draft["total"]["amount"] for draft in fresh] == ["5"], "a new invoice; the final one stays as it is"
    await void(api, final["id"])
    assert refused(await update(api, balance, payment=None)) == fixed
    done(await update(api, balance, payment=payment((NOVEMBER, "70"))))
    assert (await regenerate(api, final["id"]))["invoice"]["total"]["amount"] == "70"
    assert refused(await update(api, balance, payment=None))[0] == "ALREADY_FINALIZED"


async def test_archive_waits_until_no_final_invoice_names_it(api: Api) -> None:
    customer, [balance] = await sold(api, commit((NOVEMBER, "80")))
    drafts = await drafts_of(api, customer=customer)
    final = [await finalized(api, draft["id"]) for draft in drafts if draft["dueAt"] < DECEMBER]
    assert [item["type"] for item in final] == ["SCHEDULED", "USAGE"]
    named: set[str | None] = set()
    for _ in final:
        code, path, invoice = refused(await archive(api, balance))
        assert (code, path) == ("BALANCE_ON_FINALIZED_INVOICE", ["id"])
        assert invoice is not None
        named.add(invoice)
        await void(api, invoice)
    assert named == {item["id"] for item in final}
    gone = done(await archive(api, balance))
    assert (gone["status"], gone["archivedAt"], gone["revision"]) == ("VOIDED", "2026-11-02T12:00:00Z", 2)
    assert await totals(api, customer) == ["0.5"]
    assert await listed(api, customer) == []
    assert len(await listed(api, customer, includeArchived=True)) == 1
    for again in (
        await archive(api, balance),
        await update(api, balance, name="x"),
        await end(api, balance, access=DECEMBER),
    ):
        assert refused(again)[0] == "ARCHIVED"


async def test_it_ends_earlier_and_never_later(api: Api) -> None:
    customer, [balance, postpaid] = await sold(
        api,
        commit((NOVEMBER, "10"), (DECEMBER, "20"), amount="1"),
        credit("3", kind="POSTPAID"),
    )
    assert refused(await end(api, postpaid, access=DECEMBER)) == ("NOT_SUPPORTED", ["id"], None)
    assert refused(await end(api, balance)) == ("REQUIRED", ["accessEndingBefore"], None)
    for wrong, code in (
        (NEXT, "INVALID_INTERVAL"),
        (OCTOBER, "INVALID_INTERVAL"),
        ("2026-11-01T00:30:00Z", "NOT_HOUR_ALIGNED"),
    ):
        assert refused(await end(api, balance, access=wrong)) == (code, ["accessEndingBefore"], None)
    done(await update(api, balance, access={"add": [access("4", DECEMBER, NEXT)]}))
    ended = done(await end(api, balance, access="2026-10-06T00:00:00Z", invoices=DECEMBER))
    assert [(item["number"], item["interval"]["endingBefore"]) for item in ended["segments"]] == [
        (0, "2026-10-06T00:00:00Z")
    ]
    assert [item["unitPrice"] for item in ended["payment"]["items"]["nodes"]] == ["10"]
    assert "1" in await totals(api, customer), "of October, only the 0.25295 before the 6th are paid from it"
    assert done(await end(api, balance, invoices=OCTOBER))["payment"] is None
    assert refused(await end(api, balance, invoices=OCTOBER)) == ("INVALID", ["invoicesEndingBefore"], None)


async def test_ends_respect_final_invoices(api: Api) -> None:
    two = [access("5", OCTOBER, NOVEMBER), access("7", NOVEMBER, DECEMBER)]
    customer, [balance] = await sold(api, {**commit((NOVEMBER, "80")), "access": two})
    [purchase] = [draft for draft in await drafts_of(api, customer=customer) if draft["type"] == "SCHEDULED"]
    bought = await finalized(api, purchase["id"])
    found = refused(await end(api, balance, invoices=NOVEMBER))
    assert found == ("ALREADY_FINALIZED", ["invoicesEndingBefore"], bought["id"])
    done(await end(api, balance, access=NOVEMBER))


async def test_a_trued_up_commit_stays_as_it_was(api: Api) -> None:
    """A commit of 100 for October that the contract's end in November trues up; then nothing of its access moves."""
    terms = {**credit(kind="POSTPAID"), "access": [access("100", OCTOBER, NOVEMBER)]}
    customer, [balance] = await sold(api, terms, ending_before=NOVEMBER)
    for draft in await drafts_of(api, customer=customer):
        final = await finalized(api, draft["id"])
    assert final["type"] == "TRUEUP"
    code, path, invoice = refused(await update(api, balance, access={"update": [{"number": 0, "amount": "200"}]}))
    assert (code, path, invoice) == ("BALANCE_ON_FINALIZED_INVOICE", ["input", "access"], final["id"])
    done(await update(api, balance, name="still has a name"))


async def test_books_of_changed_balances_are_sound(api: Api, store: Store, now: datetime) -> None:
    """A purchase is voided, which cancels what is left; then the segment goes, with an entry by hand, and another grows."""
    two = [access("5", OCTOBER, NOVEMBER), access("7", NOVEMBER, DECEMBER)]
    customer, [balance] = await sold(api, {**commit((NOVEMBER, "80")), "access": two})
    october, *_ = [draft for draft in await drafts_of(api, customer=customer) if draft["type"] == "USAGE"]
    [purchase] = [draft for draft in await drafts_of(api, customer=customer) if draft["type"] == "SCHEDULED"]
    await finalized(api, october["id"])
    bought = await finalized(api, purchase["id"])
    entry = {"id": balance, "segment": 1, "amount": "3", "reason": "gift"}
    assert (await api(ADJUST, input=entry))["balanceAdjust"]["userErrors"] == []
    await void(api, bought["id"])
    changes = {"remove": [1], "update": [{"number": 0, "amount": "9", "endingBefore": DECEMBER}]}
    [kept] = done(await update(api, balance, access=changes))["segments"]
    assert kept["remaining"]["amount"] == "3.5", "9, less October's and the draft's draws, and 3.74705 canceled"
    await assert_sound(store, now)
