"""Cases that were billed are known afterwards: to the contract that follows, and when they are reversed and flip as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_outcome_reversals import REGENERATE, VOID, balances, reverse
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]

OCTOBER, NOVEMBER = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"


def outcome(name: str, ticket: str, state: str, day: str) -> dict[str, Any]:
    properties = {"ticket": ticket, "state": state}
    return event(name, timestamp=f"2026-{day}T10:00:00Z", eventType="ticket", properties=properties)


def billed(invoice: dict[str, Any]) -> str:
    return invoice["subtotal"]["amount"]


async def resolved(api: Api) -> str:
    """A card that asks 3 for each ticket that the bot has resolved."""
    latest = {"entityProperty": "ticket", "stateProperty": "state", "countedStates": ["bot"]}
    metric = await build.metric(
        api, "tickets", aggregation="COUNT_LATEST", aggregationKey=None, eventTypes=["ticket"], latestState=latest
    )
    product = await build.product(api, "Resolved", metric_id=metric["id"])
    return (await build.rate_card(api, rates=[build.rate(product["id"]) | {"price": {"flat": "3"}}]))["id"]


@pytest.mark.parametrize("kind", ["RENEWAL", "SUPERSEDE"])
async def test_a_case_is_billed_once_and_taken_back_after_a_renewal(api: Api, kind: str) -> None:
    card = await resolved(api)
    customer = await build.customer(api, ingestAliases=["acme"])
    old = await build.contract(api, customer["id"], card, starting_at=OCTOBER)
    await ingest(
        api,
        outcome("1", "T1", "bot", "10-05"),
        outcome("2", "T2", "bot", "10-06"),
        outcome("3", "T3", "human", "10-07"),
    )
    follows = {"fromContractId": old["id"], "type": kind}
    new = await build.contract(api, customer["id"], card, starting_at=NOVEMBER, transition=follows)
    [october] = await drafts_of(api, contract=old["id"])
    assert billed(await finalized(api, october["id"])) == "6"
    # One that was billed is not billed again, one that was not is, and one that flips comes off.
    await ingest(api, outcome("4", "T1", "bot", "11-01"), outcome("5", "T3", "bot", "11-01"))
    [november] = await drafts_of(api, contract=new["id"])
    assert billed(november) == "3"
    await ingest(api, outcome("6", "T2", "human", "11-02"))
    [november] = await drafts_of(api, contract=new["id"])
    assert billed(november) == "0"


async def test_a_case_that_flips_after_its_reversal_comes_off_once(api: Api) -> None:
    card = await resolved(api)
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(api, customer["id"], card, starting_at=OCTOBER)
    await ingest(
        api, outcome("1", "T1", "bot", "10-05"), outcome("2", "T2", "bot", "10-06"), outcome("3", "T2", "bot", "10-07"),
        outcome("4", "T3", "bot", "10-08"),
    )  # fmt: skip
    [october, _] = await drafts_of(api, contract=contract["id"])
    final = await finalized(api, october["id"])
    assert billed(final) == "9"
    # Of T1 nothing is left; T2 was resolved before as well, so nothing goes back of it.
    for name in ("1", "3"):
        assert (await reverse(api, name))["userErrors"] == []
    cash = "Outcome reversal of INV-000001"
    assert await balances(api, {"customer": customer}) == {cash: "3"}
    await ingest(api, outcome("5", "T1", "human", "11-01"))
    assert [billed(draft) for draft in await drafts_of(api, contract=contract["id"])] == ["0"], "it came off already"
    await ingest(api, outcome("6", "T2", "human", "11-01"), outcome("7", "T3", "human", "11-01"))
    assert [billed(draft) for draft in await drafts_of(api, contract=contract["id"])] == ["-6"]
    await ingest(api, outcome("8", "T1", "bot", "11-02"))
    assert [billed(draft) for draft in await drafts_of(api, contract=contract["id"])] == ["-3"], "it is sold anew"
    # The invoice in its place leaves the same behind.
    assert (await api(VOID, id=final["id"]))["invoiceVoid"]["userErrors"] == []
    assert (await api(REGENERATE, id=final["id"]))["invoiceRegenerate"]["userErrors"] == []
    assert [billed(draft) for draft in await drafts_of(api, contract=contract["id"])] == ["-3"]
    assert await balances(api, {"customer": customer}) == {cash: "3"}
    # When the other one is reversed as well, T2 comes off there, and not where it flips.
    assert (await reverse(api, "2"))["userErrors"] == []
    assert [billed(draft) for draft in await drafts_of(api, contract=contract["id"])] == ["0"]
