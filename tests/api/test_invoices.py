"""Invoices through the API: drafts and final ones are one type, found by id, number, customer, contract and time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from app.actor import system
from app.clock import Clock
from app.invoices.run import run_due
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests import builders
from tests.api import accounts
from tests.api.conftest import Api
from tests.api.statements import counted
from tests.api.test_usage_ingest import event, ingest

INVOICE = """
id number status type customer { id } contract { id } billingConfiguration { id provider }
servicePeriod { startingAt endingBefore } dueAt issuedAt paymentDueAt currency contentHash
subtotal { amount currency } total { amount currency }
lines { totalCount nodes { position type productName product { id } quantity unitPrice amount { amount currency }
  interval { startingAt endingBefore } pricing { key value } presentation { key value }
  tier { level startingAt size } inTotal } }
unratedUsage { product { id } quantity pricing { key value } }
deliveries { id }
"""
ONE = f"query ($id: ID, $number: String) {{ invoice(id: $id, number: $number) {{ {INVOICE} }} }}"
DRAFTS = "query ($customer: ID, $contract: ID, $first: Int) " + (
    f"{{ drafts(customerId: $customer, contractId: $contract, first: $first) {{ {INVOICE} }} }}"
)
LIST = """
query ($filter: InvoiceFilter, $orderBy: InvoiceOrder, $first: Int, $after: String) {
  invoices(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount nodes { id number total { amount } issuedAt } pageInfo { hasNextPage endCursor }
  }
}
"""
FINALIZE = (
    "mutation ($id: ID!) { invoiceFinalize(id: $id) "
    f"{{ invoice {{ {INVOICE} }} userErrors {{ code message path status }} }} }}"
)


@pytest.fixture
async def app(settings: Settings, store: Store, now: datetime) -> AsyncIterator[Starlette]:
    """The application with provider accounts."""
    providers = accounts.connections(now)
    yield create_app(settings, store, Clock(now.isoformat()), providers=providers)
    await providers.close()


async def seller(api: Api, **terms: Any) -> dict[str, Any]:
    """Acme with a contract since October at two prices for each region; usage in both months."""
    product = await builders.product(api, "Tokens", key=["region"])
    rates = [
        builders.rate(product["id"], [("10", "0.015"), (None, "0.0071")], groupValues=builders.pairs({"region": "eu"})),
        builders.rate(product["id"], "0.5", groupValues=builders.pairs({"region": "us"})),
    ]
    card = await builders.rate_card(api, rates=rates)
    customer = await builders.customer(api, ingestAliases=["acme"])
    configuration = await builders.configuration(api, customer["id"], connection="us")
    contract = await builders.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", netPaymentTermsDays=30,
        billingConfigurationId=configuration["id"], **terms,
    )  # fmt: skip
    await ingest(
        api,
        event("1", timestamp="2026-10-05T10:00:00Z", properties={"n": "24.5", "region": "eu"}),
        event("2", timestamp="2026-10-06T10:00:00Z", properties={"n": "2", "region": "us"}),
        event("3", timestamp="2026-10-07T10:00:00Z", properties={"n": "9"}),
        event("4", timestamp="2026-11-01T10:00:00Z", properties={"n": "1", "region": "us"}),
    )
    return {"product": product, "customer": customer, "configuration": configuration, "contract": contract}


async def drafts_of(api: Api, **variables: Any) -> list[dict[str, Any]]:
    return (await api(DRAFTS, **variables))["drafts"]


async def finalized(api: Api, invoice_id: str) -> dict[str, Any]:
    answer = (await api(FINALIZE, id=invoice_id))["invoiceFinalize"]
    assert answer["userErrors"] == []
    return answer["invoice"]


async def test_a_draft_explains_itself(api: Api) -> None:
    made = await seller(api)
    october, november = await drafts_of(api, contract=made["contract"]["id"])
    assert (november["status"], november["total"]["amount"]) == ("DRAFT", "0.5")
    lines = october.pop("lines")
    assert october.pop("id").startswith("inv_")
    assert october == {
        "number": None,
        "status": "DRAFT",
        "type": "USAGE",
        "customer": {"id": made["customer"]["id"]},
        "contract": {"id": made["contract"]["id"]},
        "billingConfiguration": None,
        "servicePeriod": {"startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"},
        "dueAt": "2026-11-02T00:00:00Z",
        "issuedAt": None,
        "paymentDueAt": None,
        "currency": "USD",
        "contentHash": None,
        "subtotal": {"amount": "1.25295", "currency": "USD"},
        "total": {"amount": "1.25295", "currency": "USD"},
        "unratedUsage": [
            {"product": {"id": made["product"]["id"]}, "quantity": "9", "pricing": [{"key": "region", "value": None}]}
        ],
        "deliveries": [],
    }
    assert lines["totalCount"] == 3
    shown = [(n["quantity"], n["unitPrice"], n["amount"]["amount"], n["tier"]) for n in lines["nodes"]]
    assert shown == [
        ("10", "0.015", "0.15", {"level": 1, "startingAt": "0", "size": "10"}),
        ("14.5", "0.0071", "0.10295", {"level": 2, "startingAt": "10", "size": None}),
        ("2", "0.5", "1", None),
    ]
    assert lines["nodes"][0]["pricing"] == [{"key": "region", "value": "eu"}]
    assert lines["nodes"][0]["product"] == {"id": made["product"]["id"]}


async def test_the_final_invoice_has_the_drafts_id_and_lines(api: Api) -> None:
    made = await seller(api)
    [october, _november] = await drafts_of(api, customer=made["customer"]["id"])
    assert (await api(ONE, id=october["id"]))["invoice"] == october
    final = await finalized(api, october["id"])
    assert final["id"] == october["id"]
    assert (final["number"], final["status"]) == ("INV-000001", "FINALIZED")
    assert (final["subtotal"], final["total"]) == (october["subtotal"], {"amount": "1.25", "currency": "USD"})
    assert (final["issuedAt"], final["paymentDueAt"]) == ("2026-11-02T00:00:00Z", "2026-12-02T00:00:00Z")
    assert final["billingConfiguration"] == {"id": made["configuration"]["id"], "provider": "stripe"}
    assert len(final["contentHash"]) == 64
    assert final["lines"]["nodes"][:3] == october["lines"]["nodes"]
    rounding = final["lines"]["nodes"][3]
    assert (rounding["type"], rounding["amount"]["amount"], rounding["interval"]) == ("ROUNDING", "-0.00295", None)
    assert final["unratedUsage"] == october["unratedUsage"]
    assert await finalized(api, october["id"]) == final, "a second time changes nothing"
    for variables in ({"id": final["id"]}, {"number": "INV-000001"}, {"number": "1"}):
        assert (await api(ONE, **variables))["invoice"] == final
    node = f"query ($id: ID!) {{ node(id: $id) {{ ... on Invoice {{ {INVOICE} }} }} }}"
    assert (await api(node, id=final["id"]))["node"] == final
    assert [draft["id"] for draft in await drafts_of(api, customer=made["customer"]["id"])] == [_november["id"]]
    found = await api('{ auditLog(filter: {action: ["invoice.finalize"]}) { nodes { outcome resourceId after } } }')
    assert found["auditLog"]["nodes"][-1] == {
        "outcome": "ok",
        "resourceId": final["id"],
        "after": {"status": "FINALIZED", "number": 1, "total": "1.25"},
    }


async def test_a_contract_shows_its_drafts(api: Api) -> None:
    made = await seller(api)
    ask = f"query ($id: ID!) {{ contract(id: $id) {{ drafts {{ {INVOICE} }} }} }}"
    shown = (await api(ask, id=made["contract"]["id"]))["contract"]["drafts"]
    assert shown == await drafts_of(api, contract=made["contract"]["id"])


async def test_what_is_not_due_or_not_there_is_refused(api: Api) -> None:
    made = await seller(api)
    [_october, november] = await drafts_of(api, contract=made["contract"]["id"])
    for identifier, code, status in (
        (november["id"], "NOT_DUE", 409),
        (f"inv_{'0' * 32}", "NOT_FOUND", 404),
        (made["contract"]["id"], "INVALID", 400),
        ("nonsense", "INVALID", 400),
    ):
        answer = (await api(FINALIZE, id=identifier))["invoiceFinalize"]
        assert answer["invoice"] is None
        [error] = answer["userErrors"]
        assert (error["code"], error["path"], error["status"]) == (code, ["id"], status)
    assert (await api(ONE, id=f"inv_{'0' * 32}"))["invoice"] is None
    assert (await api(ONE, number="INV-000099"))["invoice"] is None


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (ONE, {}),
        (ONE, {"id": "inv_0", "number": "1"}),
        (ONE, {"number": "INV-zero"}),
        (ONE, {"number": "0"}),
        (ONE, {"number": "9" * 30}),
        (DRAFTS, {}),
        (DRAFTS, {"customer": "nonsense"}),
        (DRAFTS, {"customer": f"cus_{'0' * 32}", "first": 0}),
        (LIST, {"filter": {"customerId": "con_x"}}),
        (LIST, {"after": "nonsense"}),
    ],
)
async def test_bad_questions_get_an_answer(api: Api, document: str, variables: dict[str, Any]) -> None:
    [error] = await api.errors(document, **variables)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_lists_are_filtered_sorted_and_paged(api: Api, app: Starlette, store: Store, now: datetime) -> None:
    made = await seller(api)
    other = await builders.customer(api, "Birch")
    second = await builders.contract(
        api, other["id"], (await builders.rate_card(api, currency="EUR"))["id"], starting_at="2026-10-01T00:00:00Z"
    )
    for contract in (made["contract"]["id"], second["id"]):
        await finalized(api, (await drafts_of(api, contract=contract))[0]["id"])
    later = Api(
        create_app(
            Settings(environment="sandbox", bootstrap_key=api.key), store, Clock((now + timedelta(days=30)).isoformat())
        )
    )
    for contract in (made["contract"]["id"], second["id"]):
        await finalized(later, (await drafts_of(later, contract=contract))[0]["id"])

    async def numbers(**variables: Any) -> list[str]:
        return [node["number"][-1] for node in (await api(LIST, **variables))["invoices"]["nodes"]]

    assert await numbers() in (["4", "3", "2", "1"], ["3", "4", "1", "2"], ["3", "4", "2", "1"], ["4", "3", "1", "2"])
    by_number = {"field": "NUMBER", "direction": "ASC"}
    assert await numbers(orderBy=by_number) == ["1", "2", "3", "4"]
    for wanted, expected in (
        ({"customerId": other["id"]}, ["2", "4"]),
        ({"contractId": made["contract"]["id"]}, ["1", "3"]),
        ({"currency": "EUR"}, ["2", "4"]),
        ({"status": ["FINALIZED"]}, ["1", "2", "3", "4"]),
        ({"status": ["VOID"]}, []),
        ({"issuedAt": {"gte": "2026-11-02T12:00:01Z"}}, ["3", "4"]),
        ({"issuedAt": {"lt": "2026-11-02T12:00:01Z"}, "currency": "USD"}, ["1"]),
    ):
        assert await numbers(filter=wanted, orderBy=by_number) == expected, wanted
    seen: list[str] = []
    after = None
    for _ in range(4):
        page = (await api(LIST, first=1, after=after))["invoices"]
        assert page["totalCount"] == 4
        seen += [node["number"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert not page["pageInfo"]["hasNextPage"]
    assert sorted(seen) == [f"INV-00000{number}" for number in (1, 2, 3, 4)]
    await later.http.aclose()


async def test_a_list_costs_no_more_statements_than_one(api: Api, store: Store) -> None:
    document = f"query ($first: Int) {{ invoices(first: $first) {{ nodes {{ {INVOICE} }} }} }}"
    for name in ("a", "b", "c", "d"):
        customer = await builders.customer(api, name)
        contract = await builders.contract(api, customer["id"], starting_at="2026-10-01T00:00:00Z")
        await finalized(api, (await drafts_of(api, contract=contract["id"]))[0]["id"])
    with counted(store) as one:
        await api(document, first=1)
    with counted(store) as four:
        await api(document, first=4)
    assert len(four) == len(one)


async def test_the_due_run_counts_and_enqueues_once(api: Api, store: Store) -> None:
    await seller(api)
    document = """mutation ($asOf: DateTime, $dry: Boolean!) {
      invoicesFinalizeDue(asOf: $asOf, dryRun: $dry) { dueContracts jobs userErrors { code path } } }"""

    async def run(*, dry: bool, as_of: str | None = None) -> dict[str, Any]:
        return (await api(document, dry=dry, asOf=as_of))["invoicesFinalizeDue"]

    assert await run(dry=True) == {"dueContracts": 1, "jobs": 0, "userErrors": []}
    assert await run(dry=True, as_of="2026-11-01T23:00:00Z") == {"dueContracts": 0, "jobs": 0, "userErrors": []}
    assert await run(dry=False) == {"dueContracts": 1, "jobs": 1, "userErrors": []}
    assert await run(dry=False) == {"dueContracts": 1, "jobs": 0, "userErrors": []}, "the same run waits already"
    refused = await run(dry=False, as_of="2026-12-02T00:00:00Z")
    assert refused["userErrors"] == [{"code": "NOT_DUE", "path": ["asOf"]}]
    [job] = (await api("{ jobs { nodes { id status total done } } }"))["jobs"]["nodes"]
    assert (job["status"], job["total"], job["done"]) == ("QUEUED", 1, 0)
    async with store.transaction() as session:
        [waiting] = await session.execute(
            text("select args->>'run' from procrastinate_jobs where task_name = 'invoices.finalize'")
        )
    assert waiting[0].replace("-", "") == job["id"].removeprefix("job_")


async def test_scopes_and_customers_tokens(api: Api) -> None:
    made = await seller(api)
    other = await builders.customer(api, "Birch")
    reader = await api.with_scopes("invoices:read")
    [october, _] = (
        await reader("query ($id: ID!) { drafts(customerId: $id) { id total { amount } } }", id=made["customer"]["id"])
    )["drafts"]
    [error] = await reader.errors(FINALIZE, id=october["id"])
    assert error["extensions"]["requiredScope"] == "invoices:finalize"
    [error] = await reader.errors("query ($id: ID!) { invoice(id: $id) { customer { id } } }", id=october["id"])
    assert error["extensions"]["requiredScope"] == "customers:read"
    own = await api.with_scopes("invoices:read", "catalog:read", customerId=made["customer"]["id"])
    foreign = await api.with_scopes("invoices:read", customerId=other["id"])
    ask = "query ($id: ID!) { invoice(id: $id) { total { amount } lines { nodes { productName product { id } } } } }"
    mine = (await own(ask, id=october["id"]))["invoice"]
    assert mine["total"] == {"amount": "1.25295"}
    assert mine["lines"]["nodes"][0] == {"productName": "Tokens", "product": None}
    await finalized(api, october["id"])
    for identifier in (october["id"], _["id"]):
        assert (await foreign(ask, id=identifier))["invoice"] is None
    assert (await foreign('{ invoice(number: "INV-000001") { id } }'))["invoice"] is None
    assert (await foreign("{ invoices { totalCount } }"))["invoices"] == {"totalCount": 0}
    assert (await own("{ invoices { totalCount } }"))["invoices"] == {"totalCount": 1}
    mine_only = "query ($id: ID!) { drafts(customerId: $id) { id } }"
    assert (await foreign(mine_only, id=made["customer"]["id"]))["drafts"] == []


JOB = """
  id kind status asOf createdAt startedAt workedAt finishedAt total done progress failed totals { amount currency }
  failures { nodes { code message contract { id } } totalCount } invoices { nodes { id total { amount } } totalCount }
"""


async def test_a_job_can_be_watched(api: Api, store: Store, now: datetime) -> None:
    made = await seller(api)
    run = "mutation { invoicesFinalizeDue { dueContracts job { id } userErrors { code } } }"
    asked = (await api(run))["invoicesFinalizeDue"]
    read = f"query ($id: ID!) {{ job(id: $id) {{ {JOB} }} }}"
    waiting = (await api(read, id=asked["job"]["id"]))["job"]
    assert {name: waiting[name] for name in ("kind", "status", "total", "done", "progress", "finishedAt")} == {
        "kind": "invoices.finalize", "status": "QUEUED", "total": 1, "done": 0, "progress": 0, "finishedAt": None,
    }  # fmt: skip
    await run_due(store, actor=system("test"), as_of=now, now=now)
    done = (await api(read, id=asked["job"]["id"]))["job"]
    assert (done["status"], done["progress"], done["failed"]) == ("SUCCEEDED", 100, 0)
    assert done["finishedAt"] == done["workedAt"] is not None
    assert done["totals"] == [{"amount": "1.25", "currency": "USD"}]
    assert [item["total"]["amount"] for item in done["invoices"]["nodes"]] == ["1.25"]
    assert done["failures"] == {"nodes": [], "totalCount": 0}
    nothing = (await api(run))["invoicesFinalizeDue"]
    assert nothing == {"dueContracts": 0, "job": None, "userErrors": []}
    reader = await api.with_scopes("invoices:read")
    assert (await reader("{ jobs { nodes { id } } }"))["jobs"]["nodes"] == [{"id": done["id"]}]
    own = await api.with_scopes("invoices:read", customerId=made["customer"]["id"])
    assert await own.errors(read, id=done["id"])
    assert (await api("query ($id: ID!) { node(id: $id) { id } }", id=done["id"]))["node"] == {"id": done["id"]}
    assert (await api(read, id=f"job_{'0' * 32}"))["job"] is None


async def test_a_job_names_the_contract_that_failed(api: Api, store: Store, now: datetime) -> None:
    made = await seller(api)
    async with store.transaction() as session:
        await session.execute(text("update contracts set currency = 'XXX'"))
    report = await run_due(store, actor=system("test"), as_of=now, now=now)
    document = "{ jobs { nodes { status failed failures { nodes { code message contract { id } } totalCount } } } }"
    [found] = (await api(document))["jobs"]["nodes"]
    assert (report.failed, found["status"], found["failed"]) == (1, "FAILED", 1)
    [failure] = found["failures"]["nodes"]
    assert (failure["code"], failure["contract"]) == ("INTERNAL", {"id": made["contract"]["id"]})
