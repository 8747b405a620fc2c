"""Void and regenerate through the API: late usage is seen, previewed, and taken in by a new invoice."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api.conftest import Api
from tests.api.test_invoices import LIST, app, drafts_of, finalized, seller
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]

SHOWN = """
id number status voidedAt voidReason issuedAt total { amount } regeneratedFrom { id } regeneratedTo { id }
lateUsage { quantity amount { amount currency } productName pricing { key value } }
"""
ANSWER = f"{{ invoice {{ {SHOWN} }} userErrors {{ code path status conflicting {{ id }} }} }}"
VOID = f"mutation ($id: ID!, $reason: String!) {{ invoiceVoid(id: $id, reason: $reason) {ANSWER} }}"
REGENERATE = f"mutation ($id: ID!) {{ invoiceRegenerate(id: $id) {ANSWER} }}"
ONE = f"query ($id: ID!) {{ invoice(id: $id) {{ {SHOWN} }} }}"
PREVIEW = """query ($id: ID!) { invoiceRegeneratePreview(id: $id) {
  totalBefore { amount } totalAfter { amount }
  differences { quantityBefore quantityAfter amountBefore { amount } amountAfter { amount } line { type unitPrice } }
} }"""


async def void(api: Api, invoice_id: str, reason: str = "wrong price") -> dict[str, Any]:
    return (await api(VOID, id=invoice_id, reason=reason))["invoiceVoid"]


async def regenerate(api: Api, invoice_id: str) -> dict[str, Any]:
    return (await api(REGENERATE, id=invoice_id))["invoiceRegenerate"]


async def refusal(answer: dict[str, Any]) -> str:
    assert answer["invoice"] is None
    [error] = answer["userErrors"]
    return error["code"]


async def late(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
    """October is final at 1.25; then three more units at 0.5 arrive for it."""
    made = await seller(api)
    [october, november] = await drafts_of(api, customer=made["customer"]["id"])
    final = await finalized(api, october["id"])
    await ingest(api, event("5", timestamp="2026-10-20T10:00:00Z", properties={"n": "3", "region": "us"}))
    return final, november


async def test_late_usage_is_shown_previewed_and_taken_in(api: Api) -> None:
    final, november = await late(api)
    shown = (await api(ONE, id=final["id"]))["invoice"]
    assert (shown["status"], shown["total"]["amount"], shown["voidedAt"]) == ("FINALIZED", "1.25", None)
    assert shown["lateUsage"] == [
        {
            "quantity": "3",
            "amount": {"amount": "1.5", "currency": "USD"},
            "productName": "Tokens",
            "pricing": [{"key": "region", "value": "us"}],
        }
    ]
    preview = (await api(PREVIEW, id=final["id"]))["invoiceRegeneratePreview"]
    assert (preview["totalBefore"]["amount"], preview["totalAfter"]["amount"]) == ("1.25", "2.75")
    [usage] = preview["differences"]
    assert usage["line"] == {"type": "USAGE", "unitPrice": "0.5"}
    assert (usage["quantityBefore"], usage["quantityAfter"]) == ("2", "5")
    assert (usage["amountBefore"]["amount"], usage["amountAfter"]["amount"]) == ("1", "2.5")
    assert (await api(ONE, id=final["id"]))["invoice"] == shown, "a preview changes nothing"

    voided = (await void(api, final["id"]))["invoice"]
    assert (voided["id"], voided["status"], voided["voidReason"]) == (final["id"], "VOID", "wrong price")
    assert voided["number"] == "INV-000001"
    made = (await regenerate(api, final["id"]))["invoice"]
    assert (made["status"], made["number"], made["total"]["amount"]) == ("FINALIZED", "INV-000002", "2.75")
    assert made["id"] != final["id"]
    assert made["regeneratedFrom"] == {"id": final["id"]}
    assert (made["lateUsage"], made["regeneratedTo"]) == ([], None)
    assert made["issuedAt"] == voided["voidedAt"], "both at this request's clock"
    first = (await api(ONE, id=final["id"]))["invoice"]
    assert (first["total"]["amount"], first["regeneratedTo"]) == ("1.25", {"id": made["id"]})
    for status, expected in (("VOID", [final["id"]]), ("FINALIZED", [made["id"]]), ("DRAFT", [])):
        found = (await api(LIST, filter={"status": [status]}))["invoices"]
        assert [item["id"] for item in found["nodes"]] == expected
    customer = november["customer"]["id"]
    assert [draft["id"] for draft in await drafts_of(api, customer=customer)] == [november["id"]]


async def test_what_cannot_be_voided_or_made_again(api: Api) -> None:
    final, november = await late(api)
    assert await refusal(await void(api, november["id"])) == "NOT_FINALIZED"
    assert await refusal(await void(api, f"inv_{'0' * 32}")) == "NOT_FOUND"
    assert await refusal(await void(api, final["id"], reason=" ")) == "REASON_REQUIRED"
    assert await refusal(await regenerate(api, final["id"])) == "NOT_VOID"
    assert (await void(api, final["id"]))["userErrors"] == []
    assert await refusal(await void(api, final["id"])) == "ALREADY_VOID"
    made = (await regenerate(api, final["id"]))["invoice"]
    again = await regenerate(api, final["id"])
    assert await refusal(again) == "ALREADY_REGENERATED"
    assert again["userErrors"][0]["conflicting"] == {"id": made["id"]}
    # The new one may be voided and made again in turn.
    assert (await void(api, made["id"]))["userErrors"] == []
    third = (await regenerate(api, made["id"]))["invoice"]
    assert (third["regeneratedFrom"], third["number"]) == ({"id": made["id"]}, "INV-000003")


async def test_of_several_at_once_one_wins(api: Api) -> None:
    final, _ = await late(api)
    answers = await asyncio.gather(*(void(api, final["id"]) for _ in range(4)))
    assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1, 1, 1]
    answers = await asyncio.gather(*(regenerate(api, final["id"]) for _ in range(4)))
    assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1, 1, 1]
    assert (await api(LIST))["invoices"]["totalCount"] == 2


async def test_voiding_needs_its_scope(api: Api) -> None:
    final, _ = await late(api)
    reader = await api.with_scopes("invoices:read", "invoices:finalize")
    [error] = await reader.errors(VOID, id=final["id"], reason="no")
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_late_usage_that_moved_from_one_price_to_another_is_shown(api: Api) -> None:
    """Three units come late for the 6th at 0.5, and three are taken back on the 20th at 1: nothing in units, 1.5 less in money."""
    override = {"change": {"multiplier": "2"}, "startingAt": "2026-10-15T00:00:00Z"}
    made = await seller(api, overrides=[override])
    [october, _] = await drafts_of(api, customer=made["customer"]["id"])
    final = await finalized(api, october["id"])
    for name, day, units in (("5", "06", "3"), ("6", "20", "-3")):
        at = f"2026-10-{day}T10:00:00Z"
        await ingest(api, event(name, timestamp=at, properties={"n": units, "region": "us"}))
    [late_one] = (await api(ONE, id=final["id"]))["invoice"]["lateUsage"]
    assert (late_one["quantity"], late_one["amount"]["amount"]) == ("0", "-1.5")
    assert (await api(PREVIEW, id=final["id"]))["invoiceRegeneratePreview"]["totalAfter"]["amount"] == "-0.25"
