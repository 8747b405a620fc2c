"""Outcomes taken back after they were billed: what each payer paid too much goes back, once, and explains itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.invoices import reversal_rating
from app.invoices.frozen_rating import NotRecomputable
from app.invoices.reversal_rating import misgiven
from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest
from tests.api.test_usage_voids import void

__all__ = ["app"]

REVERSE = """
mutation ($input: OutcomeReversalInput!) { outcomeReversal(input: $input) {
  outcomeReversal { id transactionId amount reason customer { id } statements {
    invoice { id } quantities { quantity } lines { productName tier { level } explanation { inWords } }
    entries { amount { amount currency } segment paidBy { name } balance { name } } } }
  userErrors { code message path status conflicting { id } } } }
"""
LIST = """
query ($filter: OutcomeReversalFilter, $first: Int! = 25) { outcomeReversals(filter: $filter, first: $first) {
  totalCount nodes { id transactionId } pageInfo { hasNextPage } } }
"""
BALANCES = "query ($id: ID!) { balances(customerId: $id) { nodes { name balance { amount } } } }"
VOID = 'mutation ($id: ID!) { invoiceVoid(id: $id, reason: "wrong") { userErrors { code } } }'
REGENERATE = (
    "mutation ($id: ID!) { invoiceRegenerate(id: $id) { invoice { id total { amount } } userErrors { code } } }"
)
OCTOBER = build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")


def order(name: str, worth: str, day: str = "10-05") -> dict[str, Any]:
    return event(name, timestamp=f"2026-{day}T10:00:00Z", eventType="order", properties={"n": worth})


def call(name: str, day: str = "10-06") -> dict[str, Any]:
    return event(name, timestamp=f"2026-{day}T10:00:00Z")


@pytest.fixture
async def made(api: Api) -> dict[str, Any]:
    """October: orders of 7,500 at 0.4 %, 20 of that paid by a commit; calls at 10, from the fourth on at 4, 5 by a credit."""
    orders = await build.metric(api, "volume", eventTypes=["order"], money={"currency": "USD"})
    calls = await build.metric(api, "calls", aggregation="COUNT", aggregationKey=None, eventTypes=["call"])
    fee = await build.product(api, "Approved", metric_id=orders["id"])
    product = await build.product(api, "Calls", metric_id=calls["id"])
    rates = [
        build.rate(fee["id"]) | {"price": {"percentage": "0.004"}},
        build.rate(product["id"], [("3", "10"), (None, "4")]),
    ]
    card = await build.rate_card(api, rates=rates)
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z",
        balances=[
            {"kind": "PREPAID", "name": "Fees", "unit": "USD", "appliesTo": {"productIds": [fee["id"]]},
             "access": [{"amount": "20", **OCTOBER}]},
            {"kind": "CREDIT", "name": "Launch", "unit": "USD", "appliesTo": {"productIds": [product["id"]]},
             "access": [{"amount": "5", **build.interval("2026-10-01T00:00:00Z", "2027-10-01T00:00:00Z")}]},
        ],
    )  # fmt: skip
    await ingest(api, order("o1", "5000"), order("o2", "2500"), *(call(f"c{n}") for n in range(1, 5)))
    return {"customer": customer, "contract": contract}


async def reverse(api: Api, name: str, **more: Any) -> dict[str, Any]:
    given = {"transactionId": name, "reason": "fraud", **more}
    return (await api(REVERSE, input=given))["outcomeReversal"]


async def entries(api: Api, name: str, **more: Any) -> list[tuple[str, str | None, str]]:
    """What went back: how much, who had paid, and where it went."""
    answer = await reverse(api, name, **more)
    assert answer["userErrors"] == []
    [statement] = answer["outcomeReversal"]["statements"]
    found = statement["entries"]
    return [(one["amount"]["amount"], one["paidBy"] and one["paidBy"]["name"], one["balance"]["name"]) for one in found]


async def refusal(api: Api, name: str, **more: Any) -> tuple[str, list[str]]:
    answer = await reverse(api, name, **more)
    assert answer["outcomeReversal"] is None
    [error] = answer["userErrors"]
    return error["code"], error["path"]


async def balances(api: Api, made: dict[str, Any]) -> dict[str, str]:
    found = (await api(BALANCES, id=made["customer"]["id"]))["balances"]["nodes"]
    return {one["name"]: one["balance"]["amount"] for one in found}


async def sound(store: Store, now: datetime) -> int:
    """How many reversals were proven; the books hold."""
    await assert_sound(store, now)
    async with store.transaction() as session:
        checked, wrong = await misgiven(session)
    assert wrong == []
    return checked


async def test_every_payer_gets_back_what_it_paid_too_much(
    api: Api, store: Store, made: dict[str, Any], now: datetime
) -> None:
    assert await refusal(api, "o1") == ("NOT_FINALIZED", ["input", "transactionId"])
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    final = await finalized(api, october["id"])
    assert final["total"]["amount"] == "39"
    cash, fees = "Outcome reversal of INV-000001", "Outcome reversal of INV-000001, paid by Fees"
    # Of 22 the commit pays its 20 as before; of 12 it pays all.
    assert await entries(api, "o1", amount="2000") == [("8", None, cash)]
    assert await entries(api, "o2") == [("2", None, cash), ("8", "Fees", fees)]
    # Four calls were 34: whichever goes first was the one in the cheaper tier. What is over goes to a credit, Launch lasts.
    assert [await entries(api, f"c{n}") for n in (2, 1, 4)] == [[(worth, None, cash)] for worth in ("4", "10", "10")]
    assert await entries(api, "c3") == [("5", None, cash), ("5", "Launch", "Launch")]
    assert await sound(store, now) == 6
    again = (await reverse(api, "c3", reason="another word"))["outcomeReversal"]
    assert (again["reason"], again["customer"]) == ("fraud", {"id": made["customer"]["id"]})
    [statement] = again["statements"]
    assert (statement["invoice"], statement["quantities"]) == ({"id": final["id"]}, [{"quantity": "-1"}])
    assert [line["productName"] for line in statement["lines"]] == ["Calls"] * 3
    assert statement["lines"][0]["explanation"]["inWords"].endswith(
        "Since then “c2”, “c1”, “c4”, “c3” were reversed: what was paid too much went back by entries of their own."
    )
    # The next invoice is paid from what came back, first of all.
    await ingest(api, order("o9", "10000", "11-01"))
    [november] = [item for item in await drafts_of(api, contract=made["contract"]["id"]) if item["status"] == "DRAFT"]
    assert november["total"]["amount"] == "0"
    assert await balances(api, made) == {"Launch": "5", cash: "7", fees: "0"}
    assert await refusal(api, "o1", amount="2001") == ("ALREADY_REVERSED", ["input", "amount"])
    listed = await api(LIST, filter={"customerId": made["customer"]["id"], "invoiceId": final["id"]}, first=2)
    assert (listed["outcomeReversals"]["totalCount"], listed["outcomeReversals"]["pageInfo"]["hasNextPage"]) == (
        6,
        True,
    )
    assert [node["transactionId"] for node in listed["outcomeReversals"]["nodes"]] == ["c3", "c4"]
    [one] = (await api(LIST, filter={"transactionId": "o1"}))["outcomeReversals"]["nodes"]
    async with store.transaction() as session:
        entry = await session.execute(
            text(
                "select after from audit_entries where action = 'outcome.reverse' and code is null order by id limit 1"
            )
        )
        assert entry.scalar_one() == {
            "transactionId": "o1", "amount": "2000", "reason": "fraud",
            "entries": [{"invoice": final["id"], "amount": "8", "unit": "USD"}],
        }  # fmt: skip
        # A ledger that says something else than the frozen statement is found.
        await session.execute(text("alter table reversal_entries disable trigger all"))
        await session.execute(text("update reversal_entries set amount = amount + 1 where position = 1"))
        assert len((await misgiven(session))[1]) == 2
        await session.rollback()
    assert one["id"].startswith("orv_")


async def test_a_void_takes_it_back_and_regeneration_gives_it_again(
    api: Api, store: Store, made: dict[str, Any], now: datetime
) -> None:
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    final = await finalized(api, october["id"])
    for name in ("o2", "c1", "c2", "c3", "c4"):
        assert (await reverse(api, name))["userErrors"] == []
    before = await balances(api, made)
    assert (await api(VOID, id=final["id"]))["invoiceVoid"]["userErrors"] == []
    cash = "Outcome reversal of INV-000001"
    assert await balances(api, made) == {"Launch": "5", cash: "0"}
    assert await refusal(api, "o1") == ("ALREADY_VOID", ["input", "transactionId"])
    assert [error["code"] for error in (await void(api, "c1"))["userErrors"]] == ["ALREADY_REVERSED"]
    again = (await api(REGENERATE, id=final["id"]))["invoiceRegenerate"]
    assert again["userErrors"] == []
    assert again["invoice"]["total"]["amount"] == "39", "it bills the same events"
    assert await balances(api, made) == before
    # What is reversed now is what is left of the invoice in its place, after what was reversed of the first one.
    renewed = "Outcome reversal of INV-000002, paid by Fees"
    assert await entries(api, "o1") == [("20", "Fees", renewed)]
    assert await sound(store, now) == 5 + 6, "those of both invoices"


async def test_what_nobody_paid_for_is_not_reversed(
    api: Api, store: Store, made: dict[str, Any], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise NotRecomputable("an old release did not freeze enough")

    await ingest(api, call("c1 again"), event("free", timestamp="2026-10-07T10:00:00Z", eventType="other"))
    await void(api, "c1 again")
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    await finalized(api, october["id"])
    await ingest(api, order("late", "100", "10-09"), event("lost", customerId="nobody"))
    given = {
        "never": ("NOT_FOUND", "transactionId"),
        "c1 again": ("NOT_RATED", "transactionId"),
        "free": ("NOT_RATED", "transactionId"),
        "late": ("NOT_RATED", "transactionId"),
        "lost": ("NOT_RATED", "transactionId"),
    }
    for name, (code, field) in given.items():
        assert await refusal(api, name) == (code, ["input", field])
    for amount in ("0", "-1", "2500.01"):
        assert await refusal(api, "o2", amount=amount) == ("INVALID", ["input", "amount"])
    assert await refusal(api, "c1", amount="1") == ("INVALID", ["input", "amount"])
    assert await refusal(api, "o1", reason=" ") == ("REASON_REQUIRED", ["input", "reason"])
    monkeypatch.setattr(reversal_rating, "rated_with", unknown)
    assert await refusal(api, "o1") == ("NOT_SUPPORTED", ["input", "transactionId"])
    assert (await api(LIST))["outcomeReversals"]["totalCount"] == 0
    assert await sound(store, now) == 0
