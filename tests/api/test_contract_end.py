"""The end of a contract: guarded by final invoices, extended without its terms, and archived with or without invoices."""

from __future__ import annotations

from typing import Any

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_fees import DECEMBER, NOVEMBER, UPDATE, Deal, deal
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import LIST, app, drafts_of, finalized, seller

__all__ = ["app", "deal"]

ANSWER = (
    "{ contract { interval { endingBefore } archivedAt } warnings userErrors { code status path conflicting { id } } }"
)
END = f"""mutation ($id: ID!, $end: DateTime, $allow: Boolean!) {{ contractUpdateEndDate(
  id: $id, endingBefore: $end, allowEndingBeforeFinalizedInvoice: $allow) {ANSWER} }}"""
ARCHIVE = f"mutation ($id: ID!, $void: Boolean!) {{ contractArchive(id: $id, voidInvoices: $void) {ANSWER} }}"


async def end(api: Api, contract: dict[str, Any], at: str | None, *, allow: bool = True) -> dict[str, Any]:
    return (await api(END, id=contract["id"], end=at, allow=allow))["contractUpdateEndDate"]


async def statuses(api: Api) -> dict[str, list[str]]:
    return {
        status: [item["number"] for item in (await api(LIST, filter={"status": [status]}))["invoices"]["nodes"]]
        for status in ("FINALIZED", "VOID")
    }


async def test_an_end_before_a_final_invoice_is_refused_or_warned_of(api: Api) -> None:
    made = await seller(api)
    contract = made["contract"]
    [october, _] = await drafts_of(api, contract=contract["id"])
    final = await finalized(api, october["id"])
    [error] = (await end(api, contract, "2026-10-06T00:00:00Z", allow=False))["userErrors"]
    assert (error["code"], error["status"], error["path"]) == ("ENDS_BEFORE_FINALIZED_INVOICE", 400, ["endingBefore"])
    assert error["conflicting"] == {"id": final["id"]}
    assert len(await drafts_of(api, contract=contract["id"])) == 1, "a refusal changes nothing"
    answer = await end(api, contract, "2026-10-06T00:00:00Z")
    assert answer["contract"]["interval"] == {"endingBefore": "2026-10-06T00:00:00Z"}
    [warning] = answer["warnings"]
    assert "INV-000001" in warning
    assert await drafts_of(api, contract=contract["id"]) == []
    # The European usage of the 5th is in, the American one of the 6th is not: 0.25295.
    await void(api, final["id"])
    assert (await regenerate(api, final["id"]))["invoice"]["total"]["amount"] == "0.25"
    # Extended again: the rest of October is a statement of its own, and the new final one is left alone.
    assert (await end(api, contract, None))["warnings"] == []
    rest, november = await drafts_of(api, contract=contract["id"])
    assert rest["servicePeriod"] == {"startingAt": "2026-10-06T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"}
    assert rest["subtotal"]["amount"] == "1"
    assert november["servicePeriod"]["startingAt"] == "2026-11-01T00:00:00Z"


async def test_an_end_that_is_left_out_is_none(api: Api) -> None:
    made = await build.contract(api, ending_before="2026-12-01T00:00:00Z")
    document = f"mutation ($id: ID!) {{ contractUpdateEndDate(id: $id) {ANSWER} }}"
    answer = (await api(document, id=made["id"]))["contractUpdateEndDate"]
    assert (answer["userErrors"], answer["contract"]["interval"]) == ([], {"endingBefore": None})


async def test_nothing_is_left_of_an_invoice_before_which_the_contract_ends(api: Api) -> None:
    made = await seller(api)
    contract = made["contract"]
    for wrong, code in (("2026-10-06T00:30:00Z", "NOT_HOUR_ALIGNED"), ("2026-10-01T00:00:00Z", "INVALID_INTERVAL")):
        assert (await end(api, contract, wrong))["userErrors"][0]["code"] == code
    [october, _] = await drafts_of(api, contract=contract["id"])
    final = await finalized(api, october["id"])
    await void(api, final["id"])
    await api(ARCHIVE, id=contract["id"], void=False)
    [error] = (await regenerate(api, final["id"]))["userErrors"]
    assert error["code"] == "NOTHING_TO_REGENERATE"
    assert (await end(api, contract, None))["userErrors"][0]["code"] == "ARCHIVED"


async def test_an_archived_contract_keeps_its_invoices_or_takes_them_along(api: Api) -> None:
    made = await seller(api)
    [october, _] = await drafts_of(api, contract=made["contract"]["id"])
    await finalized(api, october["id"])
    keeper = await api.with_scopes("contracts:write", "contracts:read", "invoices:read")
    [error] = await keeper.errors(ARCHIVE, id=made["contract"]["id"], void=True)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await statuses(api) == {"FINALIZED": ["INV-000001"], "VOID": []}
    answer = (await api(ARCHIVE, id=made["contract"]["id"], void=True))["contractArchive"]
    assert answer["contract"]["archivedAt"] is not None
    assert await statuses(api) == {"FINALIZED": [], "VOID": ["INV-000001"]}
    assert await drafts_of(api, contract=made["contract"]["id"]) == []


async def test_voiding_with_an_archive_asks_for_its_own_scope(api: Api) -> None:
    contract = await build.contract(api)
    narrow = await api.with_scopes("contracts:write")
    [error] = await narrow.errors(ARCHIVE, id=contract["id"], void=True)
    assert (error["extensions"]["code"], error["extensions"]["requiredScope"]) == ("FORBIDDEN", "invoices:void")
    assert (await narrow(ARCHIVE, id=contract["id"], void=False))["contractArchive"]["userErrors"] == []


TERMS = """query ($id: ID!) { contract(id: $id) {
  subscriptions { id interval { startingAt endingBefore } billingPeriods { current { endingBefore } next { endingBefore } } }
  scheduledCharges { items { nodes { at } } } } }"""


async def test_terms_do_not_grow_with_a_contract_that_is_extended(deal: Deal) -> None:
    """Cut in December and open-ended again: what was to go on, to end or to begin later stays cut."""
    july, february = "2027-07-01T00:00:00Z", "2027-02-01T00:00:00Z"
    monthly = {"startingAt": NOVEMBER, "endingBefore": july, "frequency": "MONTHLY", "unitPrice": "1"}
    contract = await deal.signed(
        subscriptions=[
            deal.subscription(), deal.subscription(endingBefore=july), deal.subscription(startingAt=february),
        ],
        scheduledCharges=[deal.charge(recurring=monthly), deal.charge((NOVEMBER, "5"), (february, "7"))],
    )  # fmt: skip
    for at in (DECEMBER, None):
        assert (await end(deal.api, contract, at))["userErrors"] == []
    shown = (await deal.api(TERMS, id=contract["id"]))["contract"]
    assert [item["interval"]["endingBefore"] for item in shown["subscriptions"]] == [DECEMBER, DECEMBER, february]
    periods = [item["billingPeriods"] for item in shown["subscriptions"]]
    assert periods[:2] == [{"current": {"endingBefore": DECEMBER}, "next": None}] * 2
    assert periods[2] == {"current": None, "next": None}
    assert [[item["at"] for item in charge["items"]["nodes"]] for charge in shown["scheduledCharges"]] == [
        [NOVEMBER]
    ] * 2
    update = {"startingAt": february, "quantity": "3"}
    answer = await deal.api(UPDATE, id=shown["subscriptions"][2]["id"], input=update)
    assert [error["code"] for error in answer["subscriptionUpdateQuantity"]["userErrors"]] == ["INVALID_INTERVAL"]
    drafts = await drafts_of(deal.api, contract=contract["id"])
    assert sum(item["type"] == "USAGE" for item in drafts) == 1
