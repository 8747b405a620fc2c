"""Custom fields of what a line names: commits and credits, subscriptions and scheduled charges; frozen with the invoice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import select

from app.actor import system
from app.delivery.document_fields import fields_of_invoice
from app.invoices.run import run_due
from app.invoices.tables import Invoice
from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_custom_fields import add, fields, put, shown
from tests.api.test_fees import OCTOBER, Deal
from tests.invoices.recomputed import assert_all_same

LINES = "lines { nodes { type balanceCustomFields { key value } chargeCustomFields { key value } } }"
DRAFTS = f"query ($id: ID!) {{ drafts(contractId: $id) {{ {LINES} }} }}"
FINAL = f"query ($id: ID!) {{ invoices(filter: {{contractId: $id}}) {{ nodes {{ {LINES} }} }} }}"
OWNED = """
query ($id: ID!) { contract(id: $id) { subscriptions { id customFields { key value } } scheduledCharges { id } } }
"""
BALANCES = "query ($id: ID!) { balances(customerId: $id) { nodes { id } } }"


def said(invoices: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Of each line its type, and what the balance and the fee or charge that it names say."""
    return {
        (
            line["type"],
            "; ".join(pair["value"] for pair in line["balanceCustomFields"]),
            "; ".join(pair["value"] for pair in line["chargeCustomFields"]),
        )
        for invoice in invoices
        for line in invoice["lines"]["nodes"]
    }


async def final(api: Api, contract: dict[str, Any]) -> set[tuple[str, str, str]]:
    return said((await api(FINAL, id=contract["id"]))["invoices"]["nodes"])


async def test_what_a_line_names_stays_as_it_was_when_it_became_final(api: Api, store: Store, now: datetime) -> None:
    deal = await Deal(api).made()
    for entity in ("CREDIT", "SUBSCRIPTION", "SCHEDULED_CHARGE"):
        await add(api, "cost center", entity)
    access = [{"amount": "50", "startingAt": OCTOBER, "endingBefore": "2027-10-01T00:00:00Z"}]
    credit = {"kind": "CREDIT", "name": "Launch", "unit": "USD", "access": access}
    contract = await deal.signed(
        interval={"startingAt": OCTOBER}, subscriptions=[deal.subscription(collection="ARREARS")],
        scheduledCharges=[deal.charge((OCTOBER, "100"))], balances=[credit],
    )  # fmt: skip
    owned: dict[str, Any] = (await api(OWNED, id=contract["id"]))["contract"]
    [subscription], [charge] = owned["subscriptions"], owned["scheduledCharges"]
    [balance] = (await api(BALANCES, id=deal.customer["id"]))["balances"]["nodes"]
    for number, item in enumerate((balance, subscription, charge)):
        assert shown(await put(api, item["id"], **{"cost center": f"K{number}"})) == {"cost center": f"K{number}"}
    stranger = await put(api, charge["id"], stranger="1")
    assert [error["code"] for error in stranger["userErrors"]] == ["CUSTOM_FIELD_UNKNOWN"]
    october = {("SCHEDULED", "", "K2"), ("SUBSCRIPTION", "", "K1"), ("APPLIED", "K0", "K1")}
    assert said((await api(DRAFTS, id=contract["id"]))["drafts"]) >= october
    await add(api, "cost center", "CONTRACT")
    await put(api, contract["id"], **{"cost center": "K3"})
    await run_due(store, actor=system("test"), as_of=now, now=now)
    for item in (balance, subscription, charge):
        await put(api, item["id"], **{"cost center": "moved"})
    assert await final(api, contract) == october
    async with store.transaction() as session:
        for invoice in await session.scalars(select(Invoice)):
            owners = {key.partition(".")[0] for key in await fields_of_invoice(session, invoice)}
            assert owners == {"contract"}, "what stands on lines is no field of the document"
    assert await assert_all_same(store) == 2
    assert await fields(api, subscription["id"]) == {"cost center": "moved"}
    own = await api.with_scopes("invoices:read", "contracts:read", customerId=deal.customer["id"])
    assert {tuple(line[1:]) for line in await final(own, contract)} == {("", "")}
    assert build.pairs({}) == (await own(OWNED, id=contract["id"]))["contract"]["subscriptions"][0]["customFields"]
