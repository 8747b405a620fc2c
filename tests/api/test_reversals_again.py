"""Reversed outcomes of an invoice that is made again at other prices: what goes back is what the new one asks too much."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_outcome_reversals import REGENERATE, VOID, balances, order, reverse, sound
from tests.api.test_usage_ingest import ingest

__all__ = ["app"]

OCTOBER, NEXT = "2026-10-01T00:00:00Z", "2027-10-01T00:00:00Z"
PRICE = (
    "mutation ($id: ID!, $rates: [RateInput!]!) { rateCardAddRates(id: $id, rates: $rates) { userErrors { code } } }"
)
CASH = "Outcome reversal of INV-000001"


class Seller:
    """Orders of 5,000 and 2,500 in October at 0.4 %: 20 of 30 is paid by a commit. The second order is reversed."""

    def __init__(self, api: Api, card: str, product: str, customer: dict[str, Any]) -> None:
        self.api, self.card, self.product, self.customer = api, card, product, customer

    async def final(self, starting_at: str, **terms: Any) -> str:
        contract = await build.contract(self.api, self.customer["id"], self.card, starting_at=starting_at, **terms)
        return (await finalized(self.api, (await drafts_of(self.api, contract=contract["id"]))[0]["id"]))["id"]

    async def priced(self, percentage: str) -> None:
        rate = build.rate(self.product) | {"price": {"percentage": percentage}}
        assert (await self.api(PRICE, id=self.card, rates=[rate]))["rateCardAddRates"]["userErrors"] == []

    async def void(self, invoice: str) -> None:
        assert (await self.api(VOID, id=invoice))["invoiceVoid"]["userErrors"] == []

    async def again(self, invoice: str) -> tuple[str, str]:
        made = (await self.api(REGENERATE, id=invoice))["invoiceRegenerate"]
        assert made["userErrors"] == []
        return made["invoice"]["id"], made["invoice"]["total"]["amount"]

    async def left(self) -> dict[str, str]:
        return await balances(self.api, {"customer": self.customer})


async def sold(api: Api, **more: Any) -> tuple[Seller, str]:
    orders = await build.metric(api, "volume", eventTypes=["order"], money={"currency": "USD"})
    fee = await build.product(api, "Approved", metric_id=orders["id"])
    card = await build.rate_card(api, rates=[build.rate(fee["id"]) | {"price": {"percentage": "0.004"}}])
    customer = await build.customer(api, ingestAliases=["acme"])
    seller = Seller(api, card["id"], fee["id"], customer)
    await ingest(api, order("o1", "5000"), order("o2", "2500"))
    access = {"amount": "20", **build.interval(OCTOBER, NEXT)}
    terms = {"balances": [{"kind": "PREPAID", "name": "Fees", "unit": "USD", "access": [access]}]}
    october = await seller.final(OCTOBER, **terms, **more)
    assert (await reverse(api, "o2"))["userErrors"] == []
    return seller, october


async def test_what_goes_back_has_the_price_of_the_new_invoice(api: Api, store: Store, now: datetime) -> None:
    seller, october = await sold(api)
    assert await seller.left() == {"Fees": "0", CASH: "10"}
    await seller.void(october)
    await seller.priced("0.008")
    renewed, total = await seller.again(october)
    assert (total, await seller.left()) == ("40", {"Fees": "0", CASH: "20"}), "the truth is 40, of which 20 in money"
    assert await sound(store, now) == 2
    # Now the commit pays all: its share goes where it came from, and nothing is left of the refund in money.
    await seller.void(renewed)
    await seller.priced("0.002")
    renewed, total = await seller.again(renewed)
    assert (total, await seller.left()) == ("0", {"Fees": "10", CASH: "0"})
    await seller.void(renewed)
    await seller.priced("0.004")
    assert (await seller.again(renewed))[1] == "10"
    assert await seller.left() == {"Fees": "0", CASH: "10"}
    assert await sound(store, now) == 4


async def test_what_was_used_of_the_refund_is_not_given_twice(api: Api, store: Store, now: datetime) -> None:
    seller, october = await sold(api, ending_before="2026-11-01T00:00:00Z")
    await ingest(api, order("o3", "1000", "11-01"))
    other = await seller.final("2026-11-01T00:00:00Z", ending_before="2026-11-02T00:00:00Z", graceHours=0)
    assert await seller.left() == {"Fees": "0", CASH: "6"}
    await seller.void(october)
    await seller.priced("0.008")
    renewed, _ = await seller.again(october)
    assert await seller.left() == {"Fees": "0", CASH: "16"}
    await seller.void(renewed)
    renewed, _ = await seller.again(renewed)
    assert await seller.left() == {"Fees": "0", CASH: "16"}
    # What the other invoice had used is there again as soon as that is void, whichever is voided first.
    await seller.void(renewed)
    await seller.void(other)
    await seller.again(renewed)
    assert await seller.left() == {"Fees": "0", CASH: "20"}
    assert await sound(store, now) == 4
