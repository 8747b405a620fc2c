"""Historical import through the API: past statements from given quantities, first as a preview, then for good."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, seller
from tests.api.test_simulations import counts
from tests.invoices.recomputed import assert_all_same

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

IMPORT = """
mutation ($input: HistoricalInvoicesInput!) { historicalInvoicesCreate(input: $input) {
  invoices { id number status issuedAt total { amount } deliveries { id } lateUsage { quantity }
    billingConfiguration { id } lines { nodes { type quantity unitPrice amount { amount } } }
    breakdowns(windowSize: DAY) { nodes { window { startingAt } total { amount } lateAmount { amount } } } }
  previews { subtotal { amount } lines { nodes { quantity } } unratedUsage { quantity } contract { id } }
  userErrors { code path status } } }
"""
OCTOBER = build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")


def usage(made: dict[str, Any], quantity: str | None = None, region: str = "us", **fields: Any) -> dict[str, Any]:
    given = {} if quantity is None else {"quantity": quantity}
    return {"productId": made["product"]["id"], "pricing": build.pairs({"region": region}), **given, **fields}


async def bring(api: Api, made: dict[str, Any], *lines: dict[str, Any], preview: bool = False, **fields: Any) -> Any:
    invoice = {"contractId": made["contract"]["id"], "interval": OCTOBER, "usage": list(lines), **fields}
    return (await api(IMPORT, input={"preview": preview, "invoices": [invoice]}))["historicalInvoicesCreate"]


async def test_a_past_statement_is_previewed_then_imported(api: Api, store: Store, now: datetime) -> None:
    november = build.interval("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z")
    made = await seller(api, balances=[{"kind": "CREDIT", "unit": "USD", "access": [{"amount": "2", **november}]}])
    lines = (usage(made, "10"), usage(made, region="eu", parts=[
        {"startingAt": "2026-10-03T00:00:00Z", "quantity": "8"}, {"startingAt": "2026-10-20T00:00:00Z", "quantity": "4"},
    ]))  # fmt: skip
    before = await counts(store)
    found = await bring(api, made, *lines, preview=True)
    assert (found["userErrors"], found["invoices"]) == ([], [])
    # 10 at 0.5, 10 at 0.015 and 2 at 0.0071, less the credit of 2.
    [shown] = found["previews"]
    assert (shown["subtotal"]["amount"], shown["contract"]["id"]) == ("3.1642", made["contract"]["id"])
    after = await counts(store)
    assert {name for name in after if after[name] != before[name]} <= {"audit_entries", "audit_log"}

    found = await bring(api, made, *lines, issuedAt="2026-11-02T06:00:00Z")
    assert (found["userErrors"], found["previews"]) == ([], [])
    [invoice] = found["invoices"]
    assert (invoice["status"], invoice["number"], invoice["total"]["amount"]) == ("FINALIZED", "INV-000001", "3.16")
    assert (invoice["issuedAt"], invoice["deliveries"], invoice["billingConfiguration"]) == (
        "2026-11-02T06:00:00Z", [], None
    )  # fmt: skip
    assert invoice["lateUsage"] == [], "stored usage of the period is no late usage of it"
    days = {one["window"]["startingAt"][8:10]: one["total"]["amount"] for one in invoice["breakdowns"]["nodes"]}
    assert sorted(days) == ["01", "03", "20", "31"]
    assert {one["lateAmount"]["amount"] for one in invoice["breakdowns"]["nodes"]} == {"0"}
    # The period is billed; what is left of the credit is for November.
    [draft] = await drafts_of(api, contract=made["contract"]["id"])
    assert draft["servicePeriod"]["startingAt"] == "2026-11-01T00:00:00Z"
    [error] = (await bring(api, made, *lines))["userErrors"]
    assert error == {"code": "INVALID_INTERVAL", "path": ["input", "invoices", "0", "interval"], "status": 400}
    await assert_sound(store, now)
    assert await assert_all_same(store) == 1


async def test_what_cannot_be_imported(api: Api) -> None:
    made = await seller(api)
    other = await build.product(api, "Other")
    part = {"startingAt": "2026-10-03T00:00:00Z", "quantity": "1"}
    for lines, fields, code, path in (
        ([usage(made, "1")], {"contractId": f"con_{'0' * 32}"}, "NOT_FOUND", ["contractId"]),
        ([usage(made, "1")], {"interval": build.interval("2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z")},
         "INVALID_INTERVAL", ["interval"]),
        ([usage(made, "1")], {"interval": build.interval("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")},
         "NOT_DUE", ["interval"]),
        ([usage(made, "1")], {"issuedAt": "2026-10-05T00:00:00Z"}, "INVALID", ["issuedAt"]),
        ([usage(made, "1")], {"issuedAt": "2027-10-05T00:00:00Z"}, "INVALID", ["issuedAt"]),
        ([usage(made, "1", productId=other["id"])], {}, "PRODUCT_NOT_ON_CARD", ["usage", "0", "productId"]),
        ([usage(made, "1", pricing=[])], {}, "INVALID", ["usage", "0", "pricing"]),
        ([usage(made, "1", presentation=build.pairs({"x": "y"}))], {}, "INVALID", ["usage", "0", "presentation"]),
        ([usage(made, "1", parts=[part])], {}, "INVALID", ["usage", "0", "quantity"]),
        ([usage(made)], {}, "INVALID", ["usage", "0", "quantity"]),
        ([usage(made, parts=[{**part, "startingAt": "2026-10-03T00:30:00Z"}])], {}, "NOT_HOUR_ALIGNED", ["usage", "0"]),
        ([usage(made, parts=[{**part, "startingAt": "2026-11-03T00:00:00Z"}])], {}, "INVALID", ["usage", "0"]),
        ([usage(made, "1")] * 501, {}, "LIMIT_EXCEEDED", ["usage"]),
    ):  # fmt: skip
        found = await bring(api, made, *lines, **fields)
        [error] = found["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", "invoices", "0", *path])
        assert found["invoices"] == []
    found = (await api(IMPORT, input={"preview": True, "invoices": []}))["historicalInvoicesCreate"]
    assert [error["code"] for error in found["userErrors"]] == ["REQUIRED"]
    some = await api.with_scopes("invoices:finalize", "invoices:read")
    [error] = await some.errors(IMPORT, input={"preview": True, "invoices": []})
    assert error["extensions"]["requiredScope"] == "admin"
