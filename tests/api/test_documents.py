"""Invoices as PDF and CSV over HTTP: what they say, who gets them, and that no name becomes markup or a formula."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from babel.core import Locale
from starlette.applications import Starlette

from app.clock import Clock
from app.invoices.document_facts import facts_of
from app.invoices.printed import printed
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from app.store.ids import parse
from app.web_invoices import invoice_routes
from tests import builders as build
from tests.api.conftest import BOOTSTRAP, Api
from tests.api.test_balances import listed
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest
from tests.invoices.recomputed import assert_all_same

EVIL = '=#panic("x") $a$ *b* `r` <l> @ref \\ Söhne'
URLS = "query ($id: ID!) { invoice(id: $id) { pdfUrl csvUrl total { amount } lines { nodes { amount { amount } inTotal } } } }"

OWNERS = "query ($id: ID!) { invoice(id: $id) { customer { id } contract { id } } }"


@pytest.fixture
def app(settings: Settings, store: Store, now: datetime) -> Starlette:
    """The application with the routes of documents."""
    clock = Clock(now.isoformat())
    return create_app(settings, store, clock, routes=invoice_routes(settings, store, clock))


TIERS = (("1000", "0.015"), (None, "0.01"))


async def sold(api: Api, currency: str = "USD", *, prices: Sequence[tuple[str | None, str]] = TIERS) -> str:
    """A draft of October with tiers and a credit, or at other prices and without, of a customer with a nasty name; its id."""
    product = await build.product(api, EVIL)
    card = await build.rate_card(api, currency=currency, rates=[build.rate(product["id"], prices)])
    customer = await build.customer(api, EVIL, ingestAliases=["acme"])
    october = build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
    contract = await build.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", netPaymentTermsDays=30,
        balances=[{"kind": "CREDIT", "unit": "USD", "name": "@gift", "access": [{"amount": "5", **october}]}]
        if prices is TIERS else [],
    )  # fmt: skip
    await ingest(api, event("1", timestamp="2026-10-05T10:00:00Z", properties={"n": "123456.7"}))
    [first, *_] = await drafts_of(api, contract=contract["id"])
    return first["id"]


async def get(api: Api, path: str, **options: Any) -> httpx.Response:
    return await api.http.get(path, **options)


async def test_the_pdf_of_a_draft_a_final_and_a_void_invoice(api: Api, store: Store, now: datetime) -> None:
    invoice = await sold(api)
    for status in ("DRAFT", "FINALIZED", "VOID"):
        if status == "FINALIZED":
            await finalized(api, invoice)
        if status == "VOID":
            await void(api, invoice)
        url = (await api(URLS, id=invoice))["invoice"]["pdfUrl"]
        answer = await get(api, url, params={"locale": "de-DE"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
        assert answer.content.startswith(b"%PDF-")
        name = invoice if status == "DRAFT" else "INV-000001"
        assert answer.headers["content-disposition"] == f'inline; filename="{name}.pdf"'
        page = await shown(store, invoice, now)
        assert page["watermark"] == ("" if status == "FINALIZED" else status)


async def shown(store: Store, invoice: str, now: datetime, locale: str = "de_DE") -> dict[str, Any]:
    """What the page says."""
    found = parse(invoice)
    assert found is not None
    async with store.transaction() as session:
        facts = await facts_of(session, found[1], customer_id=None, now=now)
    assert facts is not None
    return printed(facts, seller="Seller GmbH", seller_details=("Straße 1",), locale=Locale.parse(locale))


async def test_what_the_page_says(api: Api, store: Store, now: datetime) -> None:
    invoice = await sold(api)
    await finalized(api, invoice)
    page = await shown(store, invoice, now)
    assert (page["title"], page["seller"], page["customer"]) == ("Invoice", "Seller GmbH", EVIL)
    assert page["facts"] == [
        ["Invoice number", "INV-000001"], ["Date", "2. November 2026"], ["Payment due", "2. Dezember 2026"],
        ["Service period", "1. Oktober 2026 – 31. Oktober 2026"], ["Currency", "USD"],
    ]  # fmt: skip
    [group] = page["groups"]
    assert group["name"] == EVIL
    assert [
        (row["text"], row["details"][:1], row["quantity"], row["amount"], row["kind"]) for row in group["rows"]
    ] == [
        ("Usage", ["Tier 1: from 0 to 1.000"], "333,333333333333", "5,00\xa0$", "counted"),
        ("Paid from “@gift”", [], "", "-5,00\xa0$", "applied"),
        ("Usage", ["Tier 1: from 0 to 1.000"], "666,666666666667", "10,000000000000005\xa0$", "counted"),
        ("Usage", ["Tier 2: from 1.000"], "122.456,7", "1.224,567\xa0$", "counted"),
    ]
    assert page["total"] == "1.234,57\xa0$"
    assert [label for label, _ in page["totals"]] == ["Sum of the lines", "Rounding"]
    assert page["notes"][-1].startswith("Content hash ")
    english = await shown(store, invoice, now, "en_US")
    assert (english["total"], english["facts"][1]) == ("$1,234.57", ["Date", "November 2, 2026"])


RENAME = """mutation ($customer: ID!, $contract: ID!, $gift: ID!) {
  customerUpdate(id: $customer, input: {name: "Acme Holding"}) { userErrors { code } }
  contractEdit(id: $contract, input: {name: "Second", updateBalances: [{id: $gift, name: "present"}]}) { userErrors { code } } }"""


async def test_a_final_invoice_keeps_the_names_that_it_was_issued_with(api: Api, store: Store, now: datetime) -> None:
    """Whoever is renamed later was not billed under that name; a draft follows."""
    invoice = await sold(api)
    found = (await api(OWNERS, id=invoice))["invoice"]
    [gift] = await listed(api, found["customer"]["id"], status=["EXPIRED"])
    renamed = {"customer": found["customer"]["id"], "contract": found["contract"]["id"], "gift": gift["id"]}
    await finalized(api, invoice)
    page, table = await shown(store, invoice, now), await get(api, f"/v1/invoices/{invoice}.csv")
    answer = await api(RENAME, **renamed)
    assert [change["userErrors"] for change in answer.values()] == [[], []]
    assert await shown(store, invoice, now) == page
    assert (await get(api, f"/v1/invoices/{invoice}.csv")).text == table.text
    later = (await drafts_of(api, contract=renamed["contract"]))[-1]
    draft = await shown(store, later["id"], now)
    assert (draft["customer"], ["Contract", "Second"] in draft["facts"]) == ("Acme Holding", True)
    # Void and made again it is issued under the names of now.
    await void(api, invoice)
    made = (await regenerate(api, invoice))["invoice"]
    again = await shown(store, made["id"], now)
    assert again["customer"] == "Acme Holding"
    assert "Paid from “present”" in [row["text"] for group in again["groups"] for row in group["rows"]]
    assert await assert_all_same(store) == 2


@pytest.mark.parametrize(
    ("currency", "total"),
    [("RSD", "1.234,57\xa0RSD"), ("IQD", "1.234,567\xa0IQD"), ("KWD", "1.234,567\xa0KWD"), ("JPY", "1.235\xa0¥")],
)
async def test_the_page_shows_the_digits_that_the_invoice_is_rounded_to(
    api: Api, store: Store, now: datetime, currency: str, total: str
) -> None:
    """What the data of locales says of digits is another matter: it has none for the dinars of Serbia and Iraq."""
    invoice = await sold(api, currency, prices=[(None, "0.01")])
    assert (await finalized(api, invoice))["total"]["currency"] == currency
    assert (await shown(store, invoice, now))["total"] == total


async def test_the_page_holds_more_digits_than_are_usual(api: Api, store: Store, now: datetime) -> None:
    invoice = await sold(api, prices=[(None, "111111111111111111.00000000001")])
    await finalized(api, invoice)
    page = await shown(store, invoice, now, "en_US")
    assert page["total"] == "$13,717,411,111,111,111,097,393.70"
    assert page["groups"][0]["rows"][0]["price"] == "$111,111,111,111,111,111.00000000001"
    assert page["groups"][0]["rows"][-1]["amount"] == "$13,717,411,111,111,111,097,393.700001234567"


async def test_the_csv_has_every_line_and_no_formula(api: Api) -> None:
    invoice = await sold(api)
    await finalized(api, invoice)
    told = (await api(URLS, id=invoice))["invoice"]
    answer = await get(api, told["csvUrl"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["amount"] for row in rows] == [line["amount"]["amount"] for line in told["lines"]["nodes"]]
    assert sum(Decimal(row["amount"]) for row in rows if row["in_total"] == "true") == Decimal(told["total"]["amount"])
    first = rows[0]
    assert (first["customer"], first["product"], first["balance"]) == (f"'{EVIL}", f"'{EVIL}", "'@gift")
    assert (first["invoice_number"], first["type"], first["tier"], first["quantity"]) == (
        "INV-000001", "usage", "1", "333.333333333333",
    )  # fmt: skip
    assert rows[1]["amount"] == "-5", "a number is no formula"
    assert not any(cell.startswith(("=", "@", "+")) for row in rows for cell in row.values())


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/invoices/inv_{'0' * 32}.pdf", 404, "NOT_FOUND"),
        (f"/v1/invoices/cus_{'0' * 32}.csv", 404, "NOT_FOUND"),
        ("/v1/invoices/nothing.pdf", 404, "NOT_FOUND"),
        ("/v1/invoices/{id}.exe", 404, "NOT_FOUND"),
        ("/v1/invoices/{id}.pdf?locale=klingon", 400, "INVALID"),
        ("/v1/invoices/{id}.pdf?locale=" + "x" * 500, 400, "INVALID"),
    ],
)
async def test_what_is_not_there(api: Api, path: str, status: int, code: str) -> None:
    invoice = await sold(api)
    answer = await get(api, path.replace("{id}", invoice))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


async def test_who_may_read_documents(api: Api, app: Starlette) -> None:
    path = f"/v1/invoices/{await sold(api)}.csv"
    reader = await api.with_scopes("invoices:read")
    assert (await get(reader, path)).status_code == 200
    other = await api.with_scopes("customers:read")
    answer = await get(other, path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "NOT_PERMITTED")
    assert (await get(Api(app, None), path)).status_code == 401
    assert (await get(Api(app, BOOTSTRAP[:-1] + "x"), path)).status_code == 401


async def test_a_customer_sees_its_own_only(api: Api, store: Store, now: datetime) -> None:
    found = parse(await sold(api))
    stranger = parse((await build.customer(api, "Other"))["id"])
    assert found is not None
    assert stranger is not None
    for final in (False, True):
        if final:
            await finalized(api, f"inv_{found[1].hex}")
        async with store.transaction() as session:
            assert await facts_of(session, found[1], customer_id=stranger[1], now=now) is None
            own = await facts_of(session, found[1], customer_id=None, now=now)
            assert own is not None


async def test_without_the_extra_the_remedy_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    invoice = await sold(api)
    monkeypatch.setitem(sys.modules, "typst", None)
    answer = await get(api, f"/v1/invoices/{invoice}.pdf")
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (409, "NOT_SUPPORTED")
    assert "metrograph[pdf]" in error["message"]
    assert (await get(api, f"/v1/invoices/{invoice}.csv")).status_code == 200
