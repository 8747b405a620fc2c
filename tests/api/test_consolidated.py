"""Consolidated invoices through the API: a parent's statement and its children's as one, exactly once, and undone in order."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from babel.core import Locale
from sqlalchemy import text

from app.actor import system
from app.commands.checking import RULES, overlooked
from app.customers.tables import BillingConfiguration
from app.delivery.documents import invoice_document
from app.delivery.service import open_deliveries
from app.invoices.document_facts import facts_of
from app.invoices.dry_run import rehearse
from app.invoices.printed import printed
from app.invoices.run import run_due
from app.invoices.spreadsheet import to_csv
from app.invoices.tables import Invoice
from app.store.engine import Store
from app.store.ids import from_text
from tests.api import accounts
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_hierarchies import LIFETIME, child, group
from tests.api.test_invoice_voids import regenerate, void
from tests.api.test_invoices import app, finalized
from tests.api.test_shared_balances import october
from tests.api.test_usage_ingest import event, ingest
from tests.invoices.recomputed import assert_all_same, recomputed

__all__ = ["app"]

TOGETHER = {"payer": "PARENT", "usageStatementBehavior": "CONSOLIDATE"}
WHOLE = """
query ($id: ID!) { invoice(id: $id) {
  type status number total { amount } subtotal { amount } issuedAt payer { contractId } billingConfiguration { id }
  constituentInvoices { id } consolidatedInto { id } regeneratedTo { id } lateUsage { quantity }
  lines { nodes { position type amount { amount } origin { customerId contractId invoiceId position }
    listUnitPrice explanation { inWords } } } } }
"""
TYPES = (
    "query ($contract: ID!) { drafts(contractId: $contract) { id type total { amount } servicePeriod { startingAt } } }"
)
MOVE = """mutation ($id: ID!, $at: DateTime) { invoiceUpdateIssueDate(id: $id, issueAt: $at) {
  invoice { id } userErrors { code } } }"""
WINDOWS = """query ($contract: ID!) { breakdowns(input: {contractId: $contract, interval: {
  startingAt: "2026-10-01T00:00:00Z", endingBefore: "2026-11-01T00:00:00Z"}}) { nodes { invoice { type } } } }"""


async def family(api: Api, **of_child: Any) -> dict[str, Any]:
    """October comes to 4.005 for the parent and 3.005 for a child whose statements go out with it; 5 for one apart."""
    made = await group(api)
    made["branch"] = await child(api, made, "branch", **{"hierarchy": TOGETHER, **of_child})
    made["other"] = await child(api, made, "other", hierarchy={"payer": "PARENT"})
    for name, used in (("group", "40.05"), ("branch", "30.05"), ("other", "50")):
        await ingest(api, event(name, customerId=name, timestamp="2026-10-05T10:00:00Z", properties={"n": used}))
    return made


async def whole_of(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    """The draft of October's consolidated invoice."""
    drafts = (await api(TYPES, contract=made["contract"]["id"]))["drafts"]
    return next(draft for draft in drafts if draft["type"] == "USAGE_CONSOLIDATED")


async def shown(api: Api, invoice_id: str) -> dict[str, Any]:
    return (await api(WHOLE, id=invoice_id))["invoice"]


async def sent(store: Store, now: datetime) -> dict[str, tuple[str, str | None]]:
    """Open what is to be delivered; where each delivery stands, by the number of its invoice."""
    providers = accounts.connections(now)
    async with store.transaction() as session:
        await open_deliveries(session, providers, now=now)
    await providers.close()
    async with store.transaction() as session:
        rows = await session.execute(
            text("select i.number, d.status, d.error_code from deliveries d join invoices i on i.id = d.invoice_id")
        )
        return {number: (status, code) for number, status, code in rows}


async def test_statements_go_out_as_one(api: Api, store: Store, now: datetime) -> None:
    """Each statement is rounded by itself, 4.01 and 3.01; the consolidated one adds them up and rounds nothing."""
    made = await family(api)
    draft = await whole_of(api, made)
    assert (draft["total"]["amount"], draft["servicePeriod"]["startingAt"]) == ("7.02", "2026-10-01T00:00:00Z")
    branch, parent = await october(api, made["branch"]), await october(api, made["contract"])
    before = await shown(api, draft["id"])
    assert [item["id"] for item in before["constituentInvoices"]] == [parent["id"], branch["id"]]
    assert {line["origin"]["invoiceId"] for line in before["lines"]["nodes"]} == {parent["id"], branch["id"]}
    moved = (await api(MOVE, id=draft["id"], at="2026-12-01T00:00:00Z"))["invoiceUpdateIssueDate"]
    assert moved["userErrors"] == [{"code": "ILLEGAL_TRANSITION"}]
    finalize = "mutation ($id: ID!) { invoiceFinalize(id: $id) { userErrors { code message } } }"
    [early] = (await api(finalize, id=draft["id"]))["invoiceFinalize"]["userErrors"]
    assert (early["code"], "waits until" in early["message"]) == ("NOT_DUE", True)
    await finalized(api, branch["id"])
    await finalized(api, (await october(api, made["other"]))["id"])
    assert await sent(store, now) == {2: ("PENDING", None)}, "the child's statement waits for the parent's"
    await finalized(api, parent["id"])
    log = "{ auditLog(first: 1) { nodes { action after } } }"
    [entry] = (await api(log))["auditLog"]["nodes"]
    assert (entry["action"], entry["after"]["consolidated"]) == ("invoice.finalize", [draft["id"]])
    whole = await shown(api, draft["id"])
    assert (whole["status"], whole["number"], whole["total"]["amount"]) == ("FINALIZED", "INV-000004", "7.02")
    assert (whole["type"], whole["subtotal"]["amount"]) == ("USAGE_CONSOLIDATED", "7.02")
    assert whole["issuedAt"] == "2026-11-02T00:00:00Z"
    assert (whole["payer"]["contractId"], whole["billingConfiguration"]) == (
        made["contract"]["id"], {"id": made["route"]["id"]},
    )  # fmt: skip
    assert [item["id"] for item in whole["constituentInvoices"]] == [parent["id"], branch["id"]]
    own = {"customerId": made["customer"]["id"], "contractId": made["contract"]["id"], "invoiceId": parent["id"]}
    theirs = {
        "customerId": made["branch"]["customer"]["id"], "contractId": made["branch"]["id"], "invoiceId": branch["id"],
    }  # fmt: skip
    lines = whole["lines"]["nodes"]
    assert [(line["type"], line["amount"]["amount"], line["origin"]) for line in lines] == [
        ("USAGE", "4.005", own | {"position": 0}), ("ROUNDING", "0.005", own | {"position": 1}),
        ("USAGE", "3.005", theirs | {"position": 0}), ("ROUNDING", "0.005", theirs | {"position": 1}),
    ]  # fmt: skip
    assert [line["position"] for line in lines] == [0, 1, 2, 3]
    assert (lines[2]["listUnitPrice"], "30.05" in lines[2]["explanation"]["inWords"]) == ("0.1", True)
    assert (await shown(api, branch["id"]))["consolidatedInto"] == {"id": draft["id"]}
    parts = ("SKIPPED", "CONSOLIDATED")
    assert await sent(store, now) == {1: parts, 2: ("PENDING", None), 3: parts, 4: ("PENDING", None)}
    billed = (await api(LIFETIME, id=made["customer"]["id"]))["customer"]["lifetimeBillings"]
    assert billed == [{"amount": "12.02"}]
    windows = (await api(WINDOWS, contract=made["contract"]["id"]))["breakdowns"]["nodes"]
    assert {window["invoice"]["type"] for window in windows} == {"USAGE"}
    async with store.transaction() as session:
        facts = await facts_of(session, from_text("invoice", draft["id"]), customer_id=None, now=now)
        row = await session.get_one(Invoice, from_text("invoice", draft["id"]))
        route = await session.get_one(BillingConfiguration, row.billing_configuration_id)
        document = await invoice_document(session, row, route)
    assert [(line.description, str(line.amount)) for line in document.lines] == [
        ("Group: Tokens", "4.01"), ("branch: Tokens", "3.01"),
    ]  # fmt: skip
    assert facts is not None
    named = [(parent["id"], "Group")] * 2 + [(branch["id"], "branch")] * 2
    table = to_csv(facts).decode().splitlines()[1:]
    assert [row.rsplit(",", 4)[1:4] for row in table] == [[one, name, ""] for one, name in named]
    page = printed(facts, seller="Seller", seller_details=(), locale=Locale("en"))
    assert [part["name"] for part in page["groups"]] == ["Group: Tokens", "branch: Tokens"]
    reader = await api.with_scopes("invoices:read", "customers:read", customerId=made["branch"]["customer"]["id"])
    only = "query ($id: ID!) { invoice(id: $id) { consolidatedInto { id } } }"
    assert (await reader(only, id=branch["id"]))["invoice"] == {"consolidatedInto": None}
    assert (await reader(only, id=draft["id"]))["invoice"] is None
    assert await assert_all_same(store) == 4
    await assert_sound(store, now)
    async with store.transaction() as session:
        assert await overlooked(session, now=now) == []


async def test_a_correction_goes_from_the_whole_to_the_part_and_back(api: Api, store: Store, now: datetime) -> None:
    made = await family(api)
    draft = await whole_of(api, made)
    branch, parent = await october(api, made["branch"]), await october(api, made["contract"])
    for one in (parent, branch):
        await finalized(api, one["id"])
    [refused] = (await void(api, branch["id"]))["userErrors"]
    assert refused["code"] == "ILLEGAL_TRANSITION"
    assert (await void(api, draft["id"]))["userErrors"] == []
    assert (await shown(api, branch["id"]))["status"] == "FINALIZED", "the statement counts still"
    assert (await void(api, branch["id"]))["userErrors"] == []
    used = {"customerId": "branch", "timestamp": "2026-10-06T10:00:00Z", "properties": {"n": "10"}}
    await ingest(api, event("late", **used))
    again = (await regenerate(api, branch["id"]))["invoice"]
    whole = (await regenerate(api, draft["id"]))["invoice"]
    assert (again["total"]["amount"], whole["total"]["amount"]) == ("4.01", "8.02")
    new = await shown(api, whole["id"])
    assert [item["id"] for item in new["constituentInvoices"]] == [parent["id"], again["id"]]
    assert (await shown(api, draft["id"]))["regeneratedTo"] == {"id": whole["id"]}
    parts = ("SKIPPED", "CONSOLIDATED")
    assert await sent(store, now) == {1: parts, 4: parts, 5: ("PENDING", None)}
    assert [item["code"] for item in (await void(api, again["id"]))["userErrors"]] == ["ILLEGAL_TRANSITION"]
    assert await assert_all_same(store) == 5
    await assert_sound(store, now)


@pytest.mark.parametrize("fields", [{"graceHours": 72}, {"statement": {"frequency": "WEEKLY"}}])
async def test_what_does_not_fit_goes_out_by_itself(
    api: Api, store: Store, now: datetime, fields: dict[str, Any]
) -> None:
    """A statement that is issued on another day, or that reaches beyond the parent's period."""
    made = await family(api, **fields)
    drafts = (await api(TYPES, contract=made["contract"]["id"]))["drafts"]
    whole = {draft["servicePeriod"]["startingAt"] for draft in drafts if draft["type"] == "USAGE_CONSOLIDATED"}
    assert "2026-10-01T00:00:00Z" not in whole
    await finalized(api, (await october(api, made["contract"]))["id"])
    assert await sent(store, now) == {1: ("PENDING", None)}
    await assert_sound(store, now)


async def test_two_workers_put_every_family_together_once(api: Api, store: Store, now: datetime) -> None:
    """A rehearsal tells what two runs at once then make: of each family two statements, one apart and one whole."""
    made = await family(api)
    await child(api, made, "third", hierarchy=TOGETHER)
    await ingest(api, event("x", customerId="third", timestamp="2026-10-05T10:00:00Z", properties={"n": "7"}))
    told = await rehearse(store, as_of=now, now=now)
    assert (len(told.invoices), told.failures, told.totals) == (5, [], {"USD": Decimal("12.72")})
    assert sorted(invoice.type for invoice in told.invoices)[-1] == "USAGE_CONSOLIDATED"
    reports = await asyncio.gather(*(run_due(store, actor=system("test"), as_of=now, now=now) for _ in range(2)))
    made_by = {run_id: report for report in reports for run_id in report.runs}
    assert {(report.finalized, report.totals["USD"]) for report in made_by.values()} == {(5, Decimal("12.72"))}, (
        "what is put together of others is counted with those"
    )
    async with store.transaction() as session:
        rows = await session.execute(text("select type, total from invoices order by number"))
        found = sorted((kind, f"{total.normalize():f}") for kind, total in rows)
    assert found == [
        ("USAGE", "0.7"), ("USAGE", "3.01"), ("USAGE", "4.01"), ("USAGE", "5"), ("USAGE_CONSOLIDATED", "7.72"),
    ]  # fmt: skip
    again = await run_due(store, actor=system("test"), as_of=now, now=now)
    assert again.failures == []
    await assert_sound(store, now)
    async with store.transaction() as session:
        assert await overlooked(session, now=now) == []


FAULTS = {
    "a consolidated invoice is what its constituents come to, none of which is void while it counts": (
        "update invoices set total = total + 1 where type = 'USAGE_CONSOLIDATED'",
        "insert into invoice_voids (invoice_id, created_at, reason, in_provider) "
        "select invoice_id, now(), 'fault', false from invoice_constituents limit 1",
    ),
    "a statement goes out once: with one consolidated invoice that counts, or by itself": (
        "update deliveries set status = 'DELIVERED' where status = 'SKIPPED'",
        "insert into invoice_constituents select (select id from invoices where number = 1), 0, invoice_id "
        "from invoice_constituents where position = 1",
    ),
    "what is drawn is the customer's own, or shared by the parent with the child for which it was drawn": (
        "update grants set child_access = null where child_access is not null",
        "update contracts set parent_id = null where parent_id is not null",
    ),
    "what a child's invoice that counts has drawn lies in a time in which its parent let it": (
        "update grants set child_access = null where child_access is not null",
        "update grants set child_access_changes = jsonb_build_array(jsonb_build_object('starting_at', "
        "'2026-10-01T00:00:00+00:00', 'access', 'NONE', 'contract_ids', jsonb_build_array()))",
    ),
}


async def test_each_rule_finds_the_fault_that_it_is_for(api: Api, store: Store, now: datetime) -> None:
    made = await family(api)
    shared = {"kind": "CREDIT", "unit": "USD", "childAccess": {"type": "ALL"}, "access": [
        {"amount": "6", "startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"},
    ]}  # fmt: skip
    edit = "mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) { userErrors { code } } }"
    await api(edit, id=made["contract"]["id"], input={"add": {"balances": [shared]}})
    for contract in (made["branch"], made["contract"]):
        await finalized(api, (await october(api, contract))["id"])
    await sent(store, now)
    await assert_sound(store, now)
    for rule, faults in FAULTS.items():
        for fault in faults:
            async with store.transaction() as session:
                for table in ("invoices", "invoice_voids", "invoice_constituents", "contracts", "grants"):
                    await session.execute(text(f"alter table {table} disable trigger user"))
                await session.execute(text(fault))
                assert (await session.execute(text(RULES[rule][1]))).scalar_one(), fault
                await session.rollback()
    async with store.transaction() as session:
        await session.execute(text("alter table invoice_lines disable trigger user"))
        await session.execute(text("update invoice_lines set amount = 3 where type = 'usage' and amount = 1.995"))
    outcomes = [item.outcome for item in await recomputed(store)]
    assert sorted(outcomes) == ["DIFFERENT", "DIFFERENT", "SAME"], "the whole differs with its part"
