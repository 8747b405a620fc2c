"""Credit and rebill through the API: one step, to the total that the preview showed, or nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_invoice_voids import PREVIEW, late
from tests.api.test_invoices import LIST, app
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

REBILL = """
mutation ($id: ID!, $reason: String!, $total: Decimal, $inProvider: Boolean! = true) {
  invoiceRebill(id: $id, reason: $reason, expectedTotal: $total, voidInProvider: $inProvider) {
    invoice { id number status total { amount } regeneratedFrom { id } lateUsage { quantity } }
    voided { id status voidReason regeneratedTo { id } }
    difference { amount } differences { quantityBefore quantityAfter amountAfter { amount } line { unitPrice } }
    userErrors { code path status } } }
"""


async def rebill(api: Api, invoice: str, **fields: Any) -> dict[str, Any]:
    return (await api(REBILL, id=invoice, **{"reason": "late usage", **fields}))["invoiceRebill"]


async def test_an_invoice_is_voided_and_made_again_in_one_step(api: Api, store: Store, now: datetime) -> None:
    final, _ = await late(api)
    seen = (await api(PREVIEW, id=final["id"]))["invoiceRegeneratePreview"]
    found = await rebill(api, final["id"], total=seen["totalAfter"]["amount"])
    assert found["userErrors"] == []
    made, voided = found["invoice"], found["voided"]
    assert (made["status"], made["number"], made["total"]["amount"]) == ("FINALIZED", "INV-000002", "2.75")
    assert (made["regeneratedFrom"], made["lateUsage"]) == ({"id": final["id"]}, [])
    assert voided == {
        "id": final["id"], "status": "VOID", "voidReason": "late usage", "regeneratedTo": {"id": made["id"]}
    }  # fmt: skip
    assert found["difference"] == {"amount": "1.5"}
    assert found["differences"] == [
        {"quantityBefore": "2", "quantityAfter": "5", "amountAfter": {"amount": "2.5"}, "line": {"unitPrice": "0.5"}}
    ]
    [entry] = (await api('{ auditLog(filter: {action: ["invoice.rebill"]}) { nodes { resourceId after } } }'))[
        "auditLog"
    ]["nodes"]
    assert (entry["resourceId"], entry["after"]["regeneratedFrom"]) == (made["id"], final["id"])
    await assert_sound(store, now)


async def test_another_total_than_the_one_that_was_seen_changes_nothing(api: Api) -> None:
    final, _ = await late(api)
    seen = (await api(PREVIEW, id=final["id"]))["invoiceRegeneratePreview"]
    await ingest(api, event("6", timestamp="2026-10-21T10:00:00Z", properties={"n": "1", "region": "us"}))
    found = await rebill(api, final["id"], total=seen["totalAfter"]["amount"])
    assert (found["invoice"], found["voided"], found["differences"]) == (None, None, [])
    assert found["userErrors"] == [{"code": "STALE_REVISION", "path": ["expectedTotal"], "status": 409}]
    listed = (await api(LIST, filter={"status": ["FINALIZED"]}))["invoices"]
    assert [item["id"] for item in listed["nodes"]] == [final["id"]]
    # Numbers have no gap after it.
    assert (await rebill(api, final["id"]))["invoice"]["number"] == "INV-000002"


async def test_the_wrong_order_is_refused_and_both_scopes_are_asked_for(api: Api) -> None:
    final, november = await late(api)
    for invoice, fields, code in (
        (november["id"], {}, "NOT_FINALIZED"),
        (f"inv_{'0' * 32}", {}, "NOT_FOUND"),
        (final["id"], {"reason": " "}, "REASON_REQUIRED"),
    ):
        [error] = (await rebill(api, invoice, **fields))["userErrors"]
        assert error["code"] == code
    assert (await rebill(api, final["id"], inProvider=False))["userErrors"] == []
    [error] = (await rebill(api, final["id"]))["userErrors"]
    assert error["code"] == "ALREADY_VOID"
    for scope, missing in (("invoices:void", "invoices:finalize"), ("invoices:finalize", "invoices:void")):
        some = await api.with_scopes("invoices:read", scope)
        [error] = await some.errors(REBILL, id=final["id"], reason="x")
        assert error["extensions"]["requiredScope"] == missing
