"""Previews of invoices: a new contract, an edit, other prices, other usage, over past statements too; nothing is stored."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_balances import credit
from tests.api.test_invoices import app, drafts_of, finalized, seller
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

AUTUMN = build.interval("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z")
PREVIEW = """
query ($input: InvoicePreviewInput!) { invoicePreview(input: $input) { invoices {
  interval { startingAt } today { id status } totalBefore { amount } totalAfter { amount } difference { amount }
  lines { nodes { quantity unitPrice amount { amount } explanation { inWords override { override { id } } } } }
  differences { quantityBefore quantityAfter amountBefore { amount } amountAfter { amount } line { unitPrice } }
  unratedUsage { quantity } } } }
"""


async def counts(store: Store) -> dict[str, int]:
    """How many rows every table has, and where every sequence of invoice numbers stands."""
    async with store.transaction() as session:
        names = (
            await session.execute(
                text("select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'")
            )
        ).scalars().all()  # fmt: skip
        found = {
            name: (await session.execute(text(f'select count(*) from "{name}"'))).scalar_one() for name in sorted(names)
        }
        found["next number"] = (await session.execute(text("select sum(next) from counters"))).scalar_one()
    return found


async def preview(api: Api, store: Store, change: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """What a change would do; and that it left nothing behind."""
    before = await counts(store)
    found = (await api(PREVIEW, input={"change": change, **fields}))["invoicePreview"]["invoices"]
    assert await counts(store) == before
    return found


def totals(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """month: total today, total as it would be"""
    return [
        (one["interval"]["startingAt"][5:7], one["totalBefore"]["amount"], one["totalAfter"]["amount"]) for one in found
    ]


async def dearer_card(api: Api, made: dict[str, Any], price: str = "1") -> str:
    rates = [build.rate(made["product"]["id"], price)]
    return (await build.rate_card(api, name="card B", rates=rates))["id"]


async def test_what_the_last_months_would_have_cost_on_another_card(api: Api, store: Store) -> None:
    made = await seller(api)
    contract = made["contract"]["id"]
    october, november = await drafts_of(api, contract=contract)
    final = await finalized(api, october["id"])
    change = {"prices": {"contractId": contract, "rateCardId": await dearer_card(api, made)}}
    found = await preview(api, store, change, interval=AUTUMN)
    # 24.5 + 2 + 9, which has no price today, at 1 each; and 1 in November.
    assert totals(found) == [("10", "1.25", "35.5"), ("11", "0.5", "1")]
    assert [one["today"] for one in found] == [
        {"id": final["id"], "status": "FINALIZED"}, {"id": november["id"], "status": "DRAFT"}
    ]  # fmt: skip
    assert found[0]["difference"]["amount"] == "34.25"
    gone = [
        one for one in found[0]["differences"] if one["quantityAfter"] == "0" and one["line"]["unitPrice"] == "0.015"
    ]
    assert gone == [
        {
            "quantityBefore": "10", "quantityAfter": "0", "amountBefore": {"amount": "0.15"},
            "amountAfter": {"amount": "0"}, "line": {"unitPrice": "0.015"},
        }
    ]  # fmt: skip
    assert sum(float(line["amount"]["amount"]) for line in found[0]["lines"]["nodes"]) == 35.5
    # Today is as it was.
    assert [draft["total"] for draft in await drafts_of(api, contract=contract)] == [november["total"]]


async def test_added_prices_an_edit_and_a_contract_that_are_not_made(api: Api, store: Store) -> None:
    made = await seller(api)
    contract, product = made["contract"]["id"], made["product"]["id"]
    rates = [build.rate(product, "2", groupValues=build.pairs({"region": "us"}))]
    found = await preview(api, store, {"prices": {"contractId": contract, "rates": rates}}, interval=AUTUMN)
    assert totals(found) == [("10", "1.25295", "4.25295"), ("11", "0.5", "2")]
    edit = {
        "add": {
            "overrides": [{"change": {"multiplier": "0"}, "productId": product}],
            "balances": [],
        }
    }
    found = await preview(api, store, {"edit": {"contractId": contract, "edit": edit}}, interval=AUTUMN)
    assert totals(found) == [("10", "1.25295", "0"), ("11", "0.5", "0")]
    words = found[0]["lines"]["nodes"][0]["explanation"]
    assert "An override of the contract multiplies it by 0." in words["inWords"]
    assert words["override"] == {"override": None}, "it is stored nowhere"
    new = {
        "customerId": made["customer"]["id"], "rateCardId": await dearer_card(api, made),
        "interval": build.interval("2026-10-01T00:00:00Z"),
        "balances": [{"kind": "CREDIT", "unit": "USD", "access": [{"amount": "30", **AUTUMN}]}],
    }  # fmt: skip
    found = await preview(api, store, {"contract": new}, interval=AUTUMN)
    assert totals(found) == [("10", "0", "5.5"), ("11", "0", "1")], "the credit is used up in October"
    assert [one["today"] for one in found] == [None, None]
    ended = {"contractId": contract, "edit": {"endingBefore": "2026-11-01T00:00:00Z"}}
    found = await preview(api, store, {"edit": ended}, interval=AUTUMN)
    assert totals(found) == [("10", "1.25295", "1.25295"), ("11", "0.5", "0")]
    assert (found[1]["lines"]["nodes"], found[1]["today"]["status"]) == ([], "DRAFT")


async def test_balances_are_drawn_in_order_over_final_statements(api: Api, store: Store) -> None:
    """At twice the price October takes the whole credit, and nothing of it is left for November."""
    made = await seller(api, balances=[{"kind": "CREDIT", "unit": "USD", "access": [{"amount": "2.25295", **AUTUMN}]}])
    contract = made["contract"]["id"]
    october, _ = await drafts_of(api, contract=contract)
    await finalized(api, october["id"])
    edit = {"add": {"overrides": [{"change": {"multiplier": "2"}, "productId": made["product"]["id"]}]}}
    found = await preview(api, store, {"edit": {"contractId": contract, "edit": edit}}, interval=AUTUMN)
    assert totals(found) == [("10", "0", "0.25"), ("11", "0", "1")]
    # Of October 0.25295 is left to pay, which is rounded.


async def test_what_a_final_statement_would_not_have_drawn_is_left_for_the_next(api: Api, store: Store) -> None:
    """A credit of 1.2: October took it all. At half the price it takes 0.626475, and the rest pays 0.25 of November."""
    made = await seller(api, balances=[credit("1.2")])
    contract = made["contract"]["id"]
    october, _ = await drafts_of(api, contract=contract)
    assert (await finalized(api, october["id"]))["total"]["amount"] == "0.05"
    edit = {"add": {"overrides": [{"change": {"multiplier": "0.5"}}]}}
    found = await preview(api, store, {"edit": {"contractId": contract, "edit": edit}}, interval=AUTUMN)
    assert totals(found) == [("10", "0.05", "0"), ("11", "0.5", "0")]


async def test_usage_that_nobody_sent(api: Api, store: Store) -> None:
    made = await seller(api)
    usage = {
        "events": [
            {"eventType": "tokens", "timestamp": "2026-10-09T00:00:00Z", "properties": {"n": "8", "region": "us"}}
        ]
    }
    change = {"noneOf": made["contract"]["id"]}
    found = await preview(api, store, change, interval=AUTUMN, usage=usage)
    assert totals(found) == [("10", "1.25295", "4"), ("11", "0.5", "0")]
    found = await preview(api, store, change, interval=AUTUMN, usage={**usage, "mode": "MERGE"})
    assert totals(found) == [("10", "1.25295", "5.25295"), ("11", "0.5", "0.5")]
    found = await preview(api, store, change)
    assert totals(found) == [("11", "0.5", "0.5")], "the current statement, without an interval"


async def test_what_the_services_refuse_a_preview_refuses(api: Api, store: Store) -> None:
    made = await seller(api)
    contract = made["contract"]["id"]
    euros = (await build.rate_card(api, name="euros", currency="EUR", rates=[build.rate(made["product"]["id"])]))["id"]
    before = await counts(store)
    for change, more, reason in (
        ({"prices": {"contractId": contract, "rateCardId": euros}}, {}, "CURRENCY_MISMATCH"),
        ({"prices": {"contractId": contract}}, {}, "REQUIRED"),
        ({"edit": {"contractId": contract, "edit": {}}}, {}, "REQUIRED"),
        ({"noneOf": f"con_{'0' * 32}"}, {}, "NOT_FOUND"),
        ({"noneOf": contract}, {"interval": {"startingAt": "2026-10-01T00:00:00Z"}}, "REQUIRED"),
        ({"noneOf": contract}, {"interval": build.interval("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z")},
         "LIMIT_EXCEEDED"),
        ({"noneOf": contract}, {"usage": {"events": []}}, "REQUIRED"),
    ):  # fmt: skip
        [error] = await api.errors(PREVIEW, input={"change": change, **more})
        assert error["extensions"].get("reason") == reason, error
    assert await counts(store) == before
    reader = await api.with_scopes("invoices:read")
    [error] = await reader.errors(PREVIEW, input={"change": {"noneOf": contract}})
    assert error["extensions"]["requiredScope"] == "contracts:read"


async def test_other_fields_of_the_request_do_not_see_the_preview(api: Api, store: Store) -> None:
    made = await seller(api)
    contract = made["contract"]["id"]
    await ingest(api, event("9", timestamp="2026-11-01T12:00:00Z", properties={"n": "1", "region": "us"}))
    document = PREVIEW.replace("query ($input: InvoicePreviewInput!) {", "query ($input: InvoicePreviewInput!, $id: ID!) {"
        " before: contract(id: $id) { name drafts { total { amount } } }").rstrip().removesuffix("}") + (
        " after: contract(id: $id) { name drafts { total { amount } } } }")  # fmt: skip
    edit = {
        "name": "renamed",
        "add": {"overrides": [{"change": {"multiplier": "5"}, "productId": made["product"]["id"]}]},
    }
    answer = await api(document, input={"change": {"edit": {"contractId": contract, "edit": edit}}}, id=contract)
    [one] = answer["invoicePreview"]["invoices"]
    assert (one["totalBefore"]["amount"], one["totalAfter"]["amount"]) == ("1", "5")
    assert answer["before"] == answer["after"]
    assert answer["before"]["name"] is None
    assert [draft["total"]["amount"] for draft in answer["before"]["drafts"]] == ["1.25295", "1"]


async def test_a_preview_takes_36_invoices(api: Api) -> None:
    made = await seller(api, statement={"frequency": "WEEKLY"})
    change = {"edit": {"contractId": made["contract"]["id"], "edit": {"name": "x"}}}
    long = build.interval("2026-10-01T00:00:00Z", "2027-10-01T00:00:00Z")
    [error] = await api.errors(PREVIEW, input={"change": change, "interval": long})
    assert error["extensions"]["reason"] == "LIMIT_EXCEEDED"


async def test_a_statement_that_the_end_moves_out_of_the_interval_or_into_it_is_compared(
    api: Api, store: Store
) -> None:
    """November has used 0.5 by noon of its first day. In the evening of that day it lies in the interval on one side only."""
    contract = (await seller(api))["contract"]["id"]
    evening = build.interval("2026-11-01T18:00:00Z", "2026-11-02T00:00:00Z")
    noon: dict[str, Any] = {"contractId": contract, "edit": {"endingBefore": "2026-11-01T12:00:00Z"}}
    found = await preview(api, store, {"edit": noon}, interval=evening)
    assert totals(found) == [("11", "0.5", "0.5")]
    document = "mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) { userErrors { code } } }"
    assert (await api(document, id=contract, input=noon["edit"]))["contractEdit"]["userErrors"] == []
    _, november = await drafts_of(api, contract=contract)
    longer = {"contractId": contract, "edit": {"endingBefore": None}}
    found = await preview(api, store, {"edit": longer}, interval=evening)
    assert totals(found) == [("11", "0.5", "0.5")]
    assert found[0]["today"]["id"] == november["id"]
    assert await preview(api, store, {"edit": {**longer, "edit": {"name": "same"}}}, interval=evening) == []
