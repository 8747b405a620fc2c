"""Prices per event through the API: 0.4 % of each order, at least 0.10 and at most 25, from the event to the invoice and back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.commands.checking import RULES
from app.delivery.documents import description_of
from app.invoices.document_facts import facts_of
from app.invoices.spreadsheet import to_csv
from app.store.engine import Store
from app.store.ids import from_text
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_breakdowns import all_windows
from tests.api.test_documents import shown as page_of
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_outcome_reversals import REGENERATE, VOID, entries, order, sound
from tests.api.test_packages import MAKE
from tests.api.test_simulations import AUTUMN, preview, totals
from tests.api.test_usage_ingest import ingest
from tests.api.test_usage_voids import void
from tests.api.test_wrong_definitions import Shop
from tests.invoices.recomputed import assert_all_same

__all__ = ["app"]

FEE = {"percentagePerEvent": {"fraction": "0.004", "minPerEvent": "0.10", "maxPerEvent": "25"}}
# transaction, order of, fee
ORDERS = (
    ("o1", "10", "0.10"),
    ("o2", "24.99", "0.10"),
    ("o3", "25", "0.10"),
    ("o4", "6000", "24"),
    ("o5", "6250.01", "25"),
    ("o6", "90000", "25"),
    ("o7", "-100", "-0.4"),
    ("o8", "0", "0"),
)
TOTAL = sum(Decimal(fee) for _, _, fee in ORDERS)
SHOWN = """
query ($id: ID!) { invoice(id: $id) { total { amount } lateUsage { quantity amount { amount } }
  lines { nodes { type perEvent quantity unitPrice listUnitPrice amount { amount } balance { name }
    explanation { inWords rate { price { ... on PercentagePerEventPrice { fraction minPerEvent maxPerEvent } } }
      events { nodes { transactionId } } } } } } }
"""
WOULD = """
query ($input: UsagePreviewInput!) { usagePreview(input: $input) { invoices { subtotal { amount } } } }
"""
PRICES = """
query ($id: ID!) { contract(id: $id) { rateSchedule { nodes { listPrice { ...P } overridePrice { ...P } } } } }
fragment P on PercentagePerEventPrice { fraction minPerEvent maxPerEvent }
"""
REVERSED = """
query { outcomeReversals(first: 1) { nodes { statements { quantities { quantity } } } } }
"""


async def sold(api: Api, **terms: Any) -> dict[str, Any]:
    """October at 0.4 % of each order, with bounds; the orders of the table, one a day."""
    volume = await build.metric(api, "volume", eventTypes=["order"], money={"currency": "USD"})
    shield = await build.product(api, "Shield", metric_id=volume["id"])
    card = await build.rate_card(api, rates=[build.rate(shield["id"]) | {"price": FEE}])
    customer = await build.customer(api, ingestAliases=["acme"])
    contract = await build.contract(api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", **terms)
    await ingest(api, *(order(name, worth, f"10-{day:02}") for day, (name, worth, _) in enumerate(ORDERS, start=2)))
    return {"product": shield, "card": card, "customer": customer, "contract": contract}


async def draft_of(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    [october, *_] = await drafts_of(api, contract=made["contract"]["id"])
    return october


async def shown(api: Api, invoice: str) -> dict[str, Any]:
    return (await api(SHOWN, id=invoice))["invoice"]


def spelled(invoice: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (line["perEvent"], line["quantity"], line["unitPrice"], line["amount"]["amount"])
        for line in invoice["lines"]["nodes"]
        if line["type"] == "USAGE"
    ]


async def test_from_the_event_to_the_invoice_and_back(api: Api, store: Store, now: datetime) -> None:
    made = await sold(api)
    draft = await draft_of(api, made)
    found = await shown(api, draft["id"])
    assert Decimal(found["total"]["amount"]) == TOTAL == Decimal("73.9")
    # 25 + 6000 - 100 at 0.4 %; what lies beyond the bounds is counted.
    assert spelled(found) == [
        ("BETWEEN", "5925", "0.004", "23.7"), ("MINIMUM", "2", "0.1", "0.2"), ("MAXIMUM", "2", "25", "50"),
    ]  # fmt: skip
    words = [line["explanation"]["inWords"] for line in found["lines"]["nodes"]]
    assert words[1] == (
        "2 events of Shield, raised to the minimum, used from 1 October 2026 to 31 October 2026, measured by “volume”. "
        "The list price is 0.4 % of the amount of each event, at least 0.1 USD and at most 25 USD. 2 × 0.1 = 0.2 USD."
    )
    assert found["lines"]["nodes"][1]["listUnitPrice"] == "0.1"
    assert found["lines"]["nodes"][0]["explanation"]["rate"]["price"] == {
        "fraction": "0.004", "minPerEvent": "0.1", "maxPerEvent": "25",
    }  # fmt: skip
    assert len(found["lines"]["nodes"][0]["explanation"]["events"]["nodes"]) == len(ORDERS)
    # Of the current month: an event that was not sent, beside one that was and in its place.
    await ingest(api, order("n1", "8000", "11-01"))
    small = {"eventType": "order", "timestamp": "2026-11-02T10:00:00Z", "properties": {"n": "1"}}
    for mode, would in (("MERGE", "25.1"), ("REPLACE", "0.1")):
        asked = {"customerId": made["customer"]["id"], "mode": mode, "events": [small]}
        [november] = (await api(WOULD, input=asked))["usagePreview"]["invoices"]
        assert november["subtotal"]["amount"] == would
    # An order that is voided is not asked for.
    assert (await void(api, "o6"))["voided"] == 1
    assert (await draft_of(api, made))["total"]["amount"] == "48.9"
    # By day, each order in its own window.
    _, windows = await all_windows(api, draft["id"], "DAY")
    fees = [Decimal(fee) for name, _, fee in ORDERS if name != "o6" and Decimal(fee)]
    assert [Decimal(window["total"]["amount"]) for window in windows] == fees
    final = await finalized(api, draft["id"])
    assert (final["total"]["amount"], await assert_all_same(store)) == ("48.9", 1)
    # On paper, in a table and at a provider nobody takes events for money.
    [group] = (await page_of(store, final["id"], now, "en_US"))["groups"]
    assert [row["details"] for row in group["rows"]] == [[], ["Events at the minimum"], ["Events at the maximum"]]
    async with store.transaction() as session:
        facts = await facts_of(session, from_text("invoice", final["id"]), customer_id=None, now=now)
    assert facts is not None
    assert [row.rpartition(",")[2] for row in to_csv(facts).decode().splitlines()[1:]] == [
        "BETWEEN", "MINIMUM", "MAXIMUM",
    ]  # fmt: skip
    assert [description_of(line) for line in facts.lines] == [
        "Shield", "Shield, events at the minimum", "Shield, events at the maximum",
    ]  # fmt: skip
    assert (await all_windows(api, final["id"], "DAY"))[1] == windows
    # What comes late is worth what it would have cost.
    await ingest(api, order("late", "2"), order("later", "80000"))
    assert (await shown(api, final["id"]))["lateUsage"] == [{"quantity": "80002", "amount": {"amount": "25.1"}}]
    # An outcome that is reversed gives its own fee back, and a part of one that part.
    cash = "Outcome reversal of INV-000001"
    assert await entries(api, "o1") == [("0.1", None, cash)]
    assert await entries(api, "o4") == [("24", None, cash)]
    assert await entries(api, "o5", amount="3125.005") == [("12.5", None, cash)]
    [one] = (await api(REVERSED))["outcomeReversals"]["nodes"]
    assert one["statements"] == [{"quantities": [{"quantity": "-3125.005"}]}]
    assert await sound(store, now) == 3
    assert await assert_all_same(store) == 1


async def test_overrides_balances_and_other_prices(api: Api, store: Store, now: datetime) -> None:
    credit = {
        "kind": "CREDIT", "name": "Launch", "unit": "USD",
        "access": [{"amount": "30", **build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")}],
    }  # fmt: skip
    made = await sold(api, overrides=[{"change": {"multiplier": "0.5"}}], balances=[credit])
    draft = await draft_of(api, made)
    # Each fee is half of what it was; the credit pays the dearest first, and a part of what it does not pay whole.
    assert spelled(await shown(api, draft["id"])) == [
        ("BETWEEN", "2450", "0.002", "4.9"), ("MINIMUM", "2", "0.05", "0.1"), ("MAXIMUM", "2", "12.5", "25"),
        ("BETWEEN", "3475", "0.002", "6.95"),
    ]  # fmt: skip
    assert draft["total"]["amount"] == "6.95"
    contract, product = made["contract"]["id"], made["product"]["id"]
    [prices] = (await api(PRICES, id=contract))["contract"]["rateSchedule"]["nodes"]
    assert [[*price.values()] for price in prices.values()] == [["0.004", "0.1", "25"], ["0.002", "0.05", "12.5"]]
    rates = [build.rate(product) | {"price": {"percentagePerEvent": {"fraction": "0.01", "minPerEvent": "1"}}}]
    [october, *_] = await preview(api, store, {"prices": {"contractId": contract, "rates": rates}}, interval=AUTUMN)
    # 1 + 1 + 1 + 60 + 62.5001 + 900 - 1, halved, less the credit.
    assert totals([october]) == [("10", "6.95", "482.25005")]
    new = {
        "customerId": made["customer"]["id"], "rateCardId": made["card"]["id"],
        "interval": build.interval("2026-10-01T00:00:00Z"),
        "overrides": [{"change": {"overwrite": {"percentagePerEvent": {"fraction": "0", "minPerEvent": "2"}}}, "productId": product}],
    }  # fmt: skip
    [october, *_] = await preview(api, store, {"contract": new}, interval=AUTUMN)
    # Six orders above zero and one below, at two each.
    assert totals([october]) == [("10", "0", "10")]
    await finalized(api, draft["id"])
    # The balance that paid gets its part back.
    assert sum(Decimal(amount) for amount, _, _ in await entries(api, "o6")) == Decimal("12.5")
    assert (await sound(store, now), await assert_all_same(store)) == (1, 1)


PRICE = ["rates", "0", "price"]
OWN = ["input", "overrides", "0"]
AT_LEAST = {"percentagePerEvent": {"fraction": "0.01", "minPerEvent": "1"}}


def rate(product: str = "<shield>", price: Any = AT_LEAST, **fields: Any) -> dict[str, Any]:
    return {"id": "<card>", "rates": [{"productId": product, "price": price, **fields}]}


def own(**override: Any) -> dict[str, Any]:
    interval = {"startingAt": "2026-12-01T00:00:00Z"}
    terms = {"customerId": "<customer>", "rateCardId": "<card>", "interval": interval, "overridePriority": "EXPLICIT"}
    return {"input": terms | {"overrides": [override]}}


def version(**fields: Any) -> dict[str, Any]:
    return {"id": "<shield>", "input": {"startingAt": "2026-12-01T00:00:00Z", **fields}}


def many(count: int) -> list[dict[str, Any]]:
    prices = ({"percentagePerEvent": {"fraction": "0.01", "minPerEvent": str(place + 2)}} for place in range(count))
    return [{"productId": "<shield>", "price": price} for price in prices]


HALF = {"tiered": [{"size": "5", "multiplier": "0.5"}]}
OVERWRITE = {"overwrite": AT_LEAST}
HALVED = {"quantityConversion": {"operation": "DIVIDE", "factor": "2"}}
ROUNDED = {"quantityRounding": {"method": "ROUND_UP", "decimalPlaces": 0}}
BOUNDS: list[tuple[str | None, str | None]] = [(None, None), ("2", "1"), ("-1", None), (None, "-1")]
WRONG: list[tuple[str, dict[str, Any], str, list[str]]] = [
    *(("rateCardAddRates", rate(price={"percentagePerEvent": {"fraction": "0.1", "minPerEvent": low, "maxPerEvent": high}}), "INVALID", PRICE) for low, high in BOUNDS),
    ("rateCardAddRates", rate("<calls>"), "INVALID", PRICE),
    ("rateCardAddRates", rate("<fee>"), "NOT_SUPPORTED", PRICE),
    ("rateCardAddRates", rate("<level>"), "NOT_SUPPORTED", PRICE),
    ("rateCardAddRates", rate("<halved>"), "NOT_SUPPORTED", PRICE),
    ("rateCardAddRates", rate("<shield>", commitPrice={"flat": "1"}), "INVALID", ["rates", "0", "commitPrice"]),
    ("rateCardAddRates", {"id": "<card>", "rates": many(51)}, "LIMIT_EXCEEDED", ["rates"]),
    ("productAddVersion", version(**HALVED), "NOT_SUPPORTED", ["input"]),
    ("productAddVersion", version(**ROUNDED), "NOT_SUPPORTED", ["input"]),
    ("productAddVersion", version(metricId="<latest>"), "NOT_SUPPORTED", ["input"]),
    ("contractCreate", own(change=HALF, priority=1, productId="<shield>"), "NOT_SUPPORTED", [*OWN, "change", "tiered"]),
    ("contractCreate", own(change=HALF, priority=1, anyTags=["risk"]), "NOT_SUPPORTED", [*OWN, "change", "tiered"]),
    ("contractCreate", own(change=HALF, priority=1), "NOT_SUPPORTED", [*OWN, "change", "tiered"]),
    ("contractCreate", own(change=OVERWRITE, productId="<level>"), "NOT_SUPPORTED", [*OWN, "change", "overwrite"]),
    ("contractCreate", own(change=OVERWRITE, productId="<shield>", commitSpecific=True), "NOT_SUPPORTED", [*OWN, "change", "overwrite"]),
    ("contractCreate", own(change={"overwrite": {"flat": "1"}}, productId="<shield>", commitSpecific=True), "NOT_SUPPORTED", [*OWN, "change", "overwrite"]),
]  # fmt: skip
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("contractCreate", own(change=HALF, priority=1, productId="<calls>")),
    ("contractCreate", own(change=HALF, priority=1, anyTags=["llm"])),
    ("contractCreate", own(change=OVERWRITE, productId="<shield>")),
    ("contractCreate", own(change={"multiplier": "0.5"}, priority=1, productId="<shield>", commitSpecific=True)),
    ("rateCardAddRates", {"id": "<card>", "rates": many(49)}),
    ("productAddVersion", version(name="Guard")),
]


@pytest.fixture
async def shop(api: Api, store: Store) -> Shop:
    """The shop of the wrong definitions, with a shield that has a price per event and others that can have none."""
    made = await Shop(api, store).opened()
    money = {"money": {"currency": "USD"}}
    volume = await build.metric(api, "volume", **money)
    latest = await build.metric(api, "latest", aggregation="LATEST", **money)
    shield = await build.product(api, "Shield", metric_id=volume["id"], tags=["risk"])
    level = await build.product(api, "Level", metric_id=latest["id"])
    halved = await build.product(api, "Halved", metric_id=volume["id"], **HALVED)
    named = {"volume": volume, "latest": latest, "shield": shield, "level": level, "halved": halved}
    made.ids |= {name: one["id"] for name, one in named.items()}
    for product in ("<shield>", "<level>"):
        price = FEE if product == "<shield>" else {"flat": "1"}
        assert await made.ask("rateCardAddRates", rate(product, price)) == []
    return made


async def test_what_does_not_go_together_is_refused_and_leaves_nothing(shop: Shop) -> None:
    before = await shop.rows()
    for mutation, variables, code, path in WRONG:
        errors = await shop.ask(mutation, variables)
        assert [(error["code"], error["path"]) for error in errors] == [(code, path)], (mutation, variables, errors)
    assert await shop.rows() == before
    for mutation, variables in RIGHT:
        assert await shop.ask(mutation, variables) == [], (mutation, variables)
    [error] = await shop.ask(
        "rateCardAddRates", rate(price={"percentagePerEvent": {"fraction": "9", "maxPerEvent": "9"}})
    )
    assert (error["code"], error["path"]) == ("LIMIT_EXCEEDED", ["rates"])


async def test_no_quantity_of_the_past_tells_what_its_events_cost(api: Api) -> None:
    made = await sold(api)
    october = build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
    given = {
        "contractId": made["contract"]["id"], "interval": october,
        "usage": [{"productId": made["product"]["id"], "quantity": "10"}],
    }  # fmt: skip
    mutation = """mutation ($input: HistoricalInvoicesInput!) {
      historicalInvoicesCreate(input: $input) { userErrors { code path } } }"""
    answer = await api(mutation, input={"preview": False, "invoices": [given]})
    assert answer["historicalInvoicesCreate"]["userErrors"] == [
        {"code": "NOT_SUPPORTED", "path": ["input", "invoices", "0", "usage", "0", "productId"]}
    ]


async def test_a_package_brings_the_price_and_a_void_invoice_is_made_again(api: Api, store: Store) -> None:
    made = await sold(api)
    own = {"change": {"overwrite": {"percentagePerEvent": {"fraction": "0", "minPerEvent": "2"}}}}
    package = {
        "name": "Guarded", "rateCardId": made["card"]["id"], "duration": {"value": 1, "unit": "YEARS"},
        "terms": {"overrides": [own | {"productId": made["product"]["id"]}]},
    }  # fmt: skip
    payload = (await api(MAKE, input=package))["packageCreate"]
    assert payload["userErrors"] == []
    start = {"startingAt": "2026-10-01T00:00:00Z"}
    terms = {"customerId": made["customer"]["id"], "packageId": payload["package"]["id"], "interval": start}
    signed = await build.attempt(api, "contract", **terms)
    [october, *_] = await drafts_of(api, contract=signed["contract"]["id"])
    # Six orders above zero and one below, at two each.
    assert october["total"]["amount"] == "10"
    final = await finalized(api, october["id"])
    assert (await api(VOID, id=final["id"]))["invoiceVoid"]["userErrors"] == []
    await ingest(api, order("late", "-3"))
    again = (await api(REGENERATE, id=final["id"]))["invoiceRegenerate"]
    assert (again["userErrors"], again["invoice"]["total"]["amount"]) == ([], "8")
    assert await assert_all_same(store) == 2
    # A line that asks for more than its events cost is found, whatever else was made to fit it.
    counted, broken = RULES["what events at a price per event cost is their quantity at the price of their part"]
    async with store.transaction() as session:
        await session.execute(text("alter table invoice_lines disable trigger user"))
        for more, wrong in (("0", 0), ("0.01", 2)):
            await session.execute(text(f"update invoice_lines set amount = amount + {more} where type = 'usage'"))
            found = [(await session.execute(text(query))).scalar_one() for query in (counted, broken)]
            assert found == [2, wrong]
        await session.rollback()
