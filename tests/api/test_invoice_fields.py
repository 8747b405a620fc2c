"""Custom fields of invoices: on a draft, kept when it becomes final, changed after that, and found by their values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.actor import system
from app.invoices.run import run_due
from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_custom_fields import add, fields, put, shown, take
from tests.api.test_imports import bring, usage
from tests.api.test_invoices import app, seller
from tests.invoices.recomputed import assert_all_same

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

SHOWN = "id status contentHash customFields { key value }"
DRAFTS = f"query ($id: ID!) {{ drafts(contractId: $id) {{ {SHOWN} }} }}"
LIST = f"query ($filter: InvoiceFilter) {{ invoices(filter: $filter) {{ nodes {{ {SHOWN} }} }} }}"


async def listed(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    return (await api(LIST, filter=wanted))["invoices"]["nodes"]


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


async def test_they_stand_beside_the_invoice_and_not_in_it(api: Api, store: Store, now: datetime) -> None:
    await add(api, "po", "INVOICE", enforceUniqueness=True)
    await add(api, "note", "INVOICE")
    customer = await build.customer(api)
    contract = await build.contract(api, customer["id"], starting_at="2026-09-01T00:00:00Z")
    drafts = (await api(DRAFTS, id=contract["id"]))["drafts"]
    first, second = drafts[0]["id"], drafts[1]["id"]
    assert shown(await put(api, first, po="4711", note="a")) == {"po": "4711", "note": "a"}
    # It keeps them, and they can change and go, while its content stays as it was.
    await run_due(store, actor=system("test"), as_of=now, now=now)
    [final] = await listed(api, customFields=build.pairs({"po": "4711", "note": "a"}))
    assert (final["id"], final["status"], len(final["contentHash"])) == (first, "FINALIZED", 64)
    await put(api, first, note="b")
    assert shown(await take(api, first, "po")) == {"note": "b"}
    assert await fields(api, first) == {"note": "b"}
    assert await assert_all_same(store) == 2
    [again] = await listed(api, customFields=build.pairs({"note": "b"}))
    assert again == {**final, "customFields": build.pairs({"note": "b"})}
    assert await listed(api, customFields=build.pairs({"note": "b", "po": "4711"})) == []
    # Rules are those of any other object.
    await put(api, second, po="1")
    taken = await put(api, first, po="1")
    assert codes(taken) == [("CUSTOM_FIELD_TAKEN", ["values", "po"])]
    assert taken["userErrors"][0]["conflicting"] == {"id": second}
    assert codes(await put(api, first, stranger="1")) == [("CUSTOM_FIELD_UNKNOWN", ["values", "stranger"])]
    assert codes(await put(api, f"inv_{'0' * 32}", po="2")) == [("NOT_FOUND", ["id"])]
    [error] = await api.errors(LIST, filter={"customFields": build.pairs({"stranger": "1"})})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    own = await api.with_scopes("invoices:read", customerId=customer["id"])
    assert await listed(own, customFields=build.pairs({"note": "b"})) == []
    assert {item["id"] for item in await listed(own, type=["USAGE"])} == {first, second}
    assert [item["customFields"] for item in await listed(own)] == [[], []]
    assert await listed(api, type=["SCHEDULED"]) == []


async def test_what_is_left_of_a_draft_that_is_no_more_can_be_deleted(api: Api) -> None:
    await add(api, "po", "INVOICE", enforceUniqueness=True)
    contract = await build.contract(api, starting_at="2026-11-01T00:00:00Z")
    [draft] = (await api(DRAFTS, id=contract["id"]))["drafts"]
    await put(api, draft["id"], po="1")
    await build.change(api, "contractArchive(id: $id, voidInvoices: false)", "contract", id=contract["id"])
    assert codes(await put(api, draft["id"], po="2")) == [("NOT_FOUND", ["id"])]
    assert await take(api, draft["id"], "po") == {"node": None, "userErrors": []}
    assert codes(await take(api, draft["id"], "po")) == [("NOT_FOUND", ["id"])]


async def test_an_imported_invoice_may_have_them_from_the_start(api: Api) -> None:
    await add(api, "old", "INVOICE")
    made = await seller(api)
    wrong = await bring(api, made, usage(made, "10"), customFields=build.pairs({"stranger": "1"}))
    path = ["input", "invoices", "0", "customFields", "stranger"]
    assert codes(wrong) == [("CUSTOM_FIELD_UNKNOWN", path)]
    found = await bring(api, made, usage(made, "10"), customFields=build.pairs({"old": "R-1"}))
    [invoice] = found["invoices"]
    assert await fields(api, invoice["id"]) == {"old": "R-1"}
