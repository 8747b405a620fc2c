"""Discounts over GraphQL: scheduled charges whose amounts come off, shown, billed, explained, and proved again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.actor import system
from app.commands.checking import RULES
from app.invoices.run import run_due
from app.store.engine import Store
from tests.api.conftest import Api
from tests.api.test_fees import DECEMBER, NOVEMBER, OCTOBER, Deal
from tests.invoices.recomputed import assert_all_same

SHOWN = """query ($id: ID!) { contract(id: $id) { scheduledCharges { id isDiscount recurring { unitPrice }
  items { nodes { at amount { amount } } } } } }"""
FINAL = """query ($id: ID!) { invoices(filter: {contractId: $id}) { nodes {
  type total { amount } lines { nodes { type quantity unitPrice amount { amount } explanation { inWords } } } } } }"""
EDIT = """mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) {
  userErrors { code path message } } }"""


@pytest.fixture
async def deal(api: Api) -> Deal:
    return await Deal(api).made()


async def shown(deal: Deal, contract: dict[str, Any]) -> list[dict[str, Any]]:
    return (await deal.api(SHOWN, id=contract["id"]))["contract"]["scheduledCharges"]


async def final(deal: Deal, contract: dict[str, Any]) -> list[dict[str, Any]]:
    return (await deal.api(FINAL, id=contract["id"]))["invoices"]["nodes"]


async def test_what_a_discount_says_comes_off(deal: Deal, store: Store, now: datetime) -> None:
    """October 1: 100 less 30. November 1: a third of 50.01 off, alone on its invoice, which is below zero."""
    thirds = {
        "startingAt": NOVEMBER, "endingBefore": "2027-02-01T00:00:00Z", "frequency": "MONTHLY", "unitPrice": "50.01",
        "distribution": "DIVIDED_ROUNDED",
    }  # fmt: skip
    contract = await deal.signed(
        interval={"startingAt": OCTOBER},
        scheduledCharges=[
            deal.charge((OCTOBER, "100")),
            deal.charge((OCTOBER, "30"), isDiscount=True),
            deal.charge(recurring=thirds, isDiscount=True),
        ],
    )
    charge, rebate, shared = await shown(deal, contract)
    assert (charge["isDiscount"], rebate["isDiscount"], shared["isDiscount"]) == (False, True, True)
    assert rebate["items"]["nodes"] == [{"at": OCTOBER, "amount": {"amount": "-30"}}]
    assert shared["recurring"] == {"unitPrice": "50.01"}, "as it was written"
    assert [item["amount"]["amount"] for item in shared["items"]["nodes"]] == ["-16.67"] * 3
    await run_due(store, actor=system("test"), as_of=now, now=now)
    found = await final(deal, contract)
    totals = sorted(item["total"]["amount"] for item in found if item["type"] == "SCHEDULED")
    assert totals == ["-16.67", "70"]
    [both] = [item for item in found if item["total"]["amount"] == "70"]
    lines = [(line["quantity"], line["unitPrice"], line["amount"]["amount"]) for line in both["lines"]["nodes"]]
    assert lines == [("1", "100", "100"), ("1", "-30", "-30")]
    words = [line["explanation"]["inWords"] for line in both["lines"]["nodes"]]
    assert words[0].startswith("An instalment of a scheduled charge for Setup, dated")
    assert words[1].startswith("An instalment of a discount for Setup, dated")
    assert await assert_all_same(store) == len(found)
    async with store.transaction() as session:
        broken = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
    assert broken == []
    # What is not billed yet changes, and stays a discount.
    change = {"id": rebate["id"], "items": [{"at": OCTOBER, "unitPrice": "30"}, {"at": DECEMBER, "unitPrice": "5"}]}
    edited = await deal.api(EDIT, id=contract["id"], input={"updateScheduledCharges": [change]})
    assert edited["contractEdit"]["userErrors"] == []
    _, rebate, _ = await shown(deal, contract)
    assert (rebate["isDiscount"], [item["amount"]["amount"] for item in rebate["items"]["nodes"]]) == (
        True,
        ["-30", "-5"],
    )


async def test_a_discount_is_written_above_zero(deal: Deal) -> None:
    refused = await deal.sign(scheduledCharges=[deal.charge((DECEMBER, "-30"), isDiscount=True)])
    assert [(error["code"], error["path"][-1]) for error in refused["userErrors"]] == [("INVALID", "unitPrice")]


async def test_a_discount_on_a_usage_statement_takes_off_what_was_used(deal: Deal) -> None:
    """Seats cost 300 in advance for November; 340 off on the day on which October ends."""
    contract = await deal.signed(
        interval={"startingAt": OCTOBER}, consolidateScheduledCharges=True,
        subscriptions=[deal.subscription(collection="ARREARS")],
        scheduledCharges=[deal.charge((NOVEMBER, "340"), isDiscount=True)],
    )  # fmt: skip
    drafts = await deal.drafts(contract)
    [october] = [item for item in drafts if item["servicePeriod"] and item["servicePeriod"]["startingAt"] == OCTOBER]
    assert october["subtotal"] == {"amount": "-40", "currency": "USD"}
    assert sorted(line["amount"]["amount"] for line in october["lines"]["nodes"]) == ["-340", "300"]
