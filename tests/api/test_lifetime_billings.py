"""Lifetime billings of customers: shown, sorted by, equal to the sum; and issue dates of drafts that are moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.actor import system
from app.commands.checking import RULES
from app.invoices.run import run_due
from app.store.engine import Store
from tests import builders
from tests.api.conftest import Api
from tests.api.test_usage_ingest import event, ingest

LIST = """
query ($order: CustomerOrder, $first: Int, $after: String) { customers(orderBy: $order, first: $first, after: $after) {
  nodes { name lifetimeBillings { amount currency } } totalCount pageInfo { hasNextPage endCursor } } }
"""
RULE = "lifetime billings are what final invoices come to"
MOVE = """
mutation ($id: ID!, $at: DateTime) { invoiceUpdateIssueDate(id: $id, issueAt: $at) {
  invoice { id status dueAt servicePeriod { startingAt endingBefore } } userErrors { code path } } }
"""


async def customers_with(api: Api, **quantities: int) -> dict[str, Any]:
    """Customers with a contract since October at a dollar a unit, and what each used then."""
    product = await builders.product(api)
    card = await builders.rate_card(api, rates=[builders.rate(product["id"], "1")])
    made: dict[str, Any] = {}
    for name, units in quantities.items():
        customer = await builders.customer(api, name=name, externalId=name)
        await builders.contract(api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z")
        used_then = {"customerId": name, "timestamp": "2026-10-05T00:00:00Z", "properties": {"n": str(units)}}
        await ingest(api, event(f"{name}-{units}", **used_then), allowHistorical=True)
        made[name] = customer
    return made


async def names(api: Api, order: dict[str, Any], *, first: int = 25) -> list[str]:
    """All pages of the list."""
    found: list[str] = []
    after = None
    while True:
        page = (await api(LIST, order=order, first=first, after=after))["customers"]
        found += [node["name"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        after = page["pageInfo"]["endCursor"]


async def is_sound(store: Store) -> bool:
    async with store.transaction() as session:
        return (await session.execute(text(RULES[RULE][1]))).scalar_one() == 0


async def test_they_are_shown_and_sorted_by(api: Api, store: Store, now: datetime) -> None:
    await customers_with(api, alder=30, birch=200, cedar=0, dogwood=30, elm=4)
    order = {"field": "LIFETIME_BILLINGS", "currency": "USD"}
    assert await names(api, order, first=2) == ["alder", "birch", "cedar", "dogwood", "elm"], "nobody has any yet"
    await run_due(store, actor=system("test"), as_of=now, now=now)
    for first in (1, 2, 25):
        assert await names(api, order, first=first) == ["cedar", "elm", "alder", "dogwood", "birch"]
        back = await names(api, order | {"direction": "DESC"}, first=first)
        assert back == ["birch", "dogwood", "alder", "elm", "cedar"]
    assert await names(api, {"field": "LIFETIME_BILLINGS", "currency": "EUR"}) == [
        "alder",
        "birch",
        "cedar",
        "dogwood",
        "elm",
    ]
    page = (await api(LIST, order={"field": "NAME"}))["customers"]
    assert [node["lifetimeBillings"] for node in page["nodes"]][:2] == [
        [{"amount": "30", "currency": "USD"}], [{"amount": "200", "currency": "USD"}],
    ]  # fmt: skip
    assert await is_sound(store)
    async with store.transaction() as session:
        await session.execute(text("update lifetime_billings set total = total + 1 where total = 200"))
    assert not await is_sound(store)


async def test_a_void_takes_away_and_a_regeneration_brings_back(api: Api, store: Store, now: datetime) -> None:
    customer = (await customers_with(api, alder=30))["alder"]
    await run_due(store, actor=system("test"), as_of=now, now=now)
    read = "query ($id: ID!) { customer(id: $id) { lifetimeBillings { amount } } }"

    async def shown() -> list[str]:
        found = (await api(read, id=customer["id"]))["customer"]["lifetimeBillings"]
        return [item["amount"] for item in found]

    [invoice] = (await api("{ invoices { nodes { id } } }"))["invoices"]["nodes"]
    assert await shown() == ["30"]
    void = 'mutation ($id: ID!) { invoiceVoid(id: $id, reason: "wrong") { userErrors { message } } }'
    assert (await api(void, id=invoice["id"]))["invoiceVoid"]["userErrors"] == []
    assert await shown() == ["0"]
    again = "mutation ($id: ID!) { invoiceRegenerate(id: $id) { userErrors { message } } }"
    assert (await api(again, id=invoice["id"]))["invoiceRegenerate"]["userErrors"] == []
    assert await shown() == ["30"]
    assert await is_sound(store)


async def test_what_an_order_by_them_asks_for(api: Api) -> None:
    [error] = await api.errors(LIST, order={"field": "LIFETIME_BILLINGS"})
    assert (error["extensions"]["code"], "currency" in error["message"]) == ("BAD_USER_INPUT", True)
    [error] = await api.errors(LIST, order={"field": "NAME", "currency": "USD"})
    assert (error["extensions"]["code"], "currency" in error["message"]) == ("BAD_USER_INPUT", True)
    reader = await api.with_scopes("customers:read")
    [error] = await reader.errors(
        "query ($order: CustomerOrder) { customers(orderBy: $order) { nodes { name } } }",
        order={"field": "LIFETIME_BILLINGS", "currency": "USD"},
    )
    assert error["extensions"]["requiredScope"] == "invoices:read"


async def test_the_issue_date_of_one_draft_moves_alone(api: Api, store: Store, now: datetime) -> None:
    customer = (await customers_with(api, alder=30))["alder"]
    drafts = "query ($id: ID!) { drafts(customerId: $id) { id dueAt } }"
    october, november = (await api(drafts, id=customer["id"]))["drafts"]
    assert (october["dueAt"], november["dueAt"]) == ("2026-11-02T00:00:00Z", "2026-12-02T00:00:00Z")
    moved = (await api(MOVE, id=october["id"], at="2026-11-05T06:30:00Z"))["invoiceUpdateIssueDate"]
    assert moved["userErrors"] == []
    assert moved["invoice"] == {
        "id": october["id"], "status": "DRAFT", "dueAt": "2026-11-05T06:30:00Z",
        "servicePeriod": {"startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"},
    }  # fmt: skip
    assert (await run_due(store, actor=system("test"), as_of=now, now=now)).finalized == 0
    later = now.replace(day=6)
    assert (await run_due(store, actor=system("test"), as_of=later, now=later)).finalized == 1
    [final] = (await api("{ invoices { nodes { id issuedAt } } }"))["invoices"]["nodes"]
    assert final == {"id": october["id"], "issuedAt": "2026-11-05T06:30:00Z"}
    [left] = (await api(drafts, id=customer["id"]))["drafts"]
    assert left == november, "the next one is due when its schedule says"
    refused = (await api(MOVE, id=october["id"], at="2026-11-09T00:00:00Z"))["invoiceUpdateIssueDate"]
    assert refused["userErrors"] == [{"code": "ALREADY_FINALIZED", "path": ["id"]}]
    entries = (await api("{ auditLog(first: 50) { nodes { action } } }"))["auditLog"]["nodes"]
    assert sum(item["action"] == "invoice.update_issue_date" for item in entries) == 2


async def test_an_issue_date_has_bounds_and_can_go_back(api: Api) -> None:
    customer = (await customers_with(api, alder=30))["alder"]
    [october, november] = (await api("query ($id: ID!) { drafts(customerId: $id) { id } }", id=customer["id"]))[
        "drafts"
    ]
    for identifier, at, code in (
        (october["id"], "2026-11-02T11:59:59Z", "INVALID"),  # past
        (november["id"], "2026-11-30T23:59:59Z", "INVALID"),  # usage still comes
        (november["id"], "2027-12-03T00:00:00Z", "INVALID"),  # more than a year
        (f"inv_{'0' * 32}", "2026-12-03T00:00:00Z", "NOT_FOUND"),
    ):
        [error] = (await api(MOVE, id=identifier, at=at))["invoiceUpdateIssueDate"]["userErrors"]
        assert error["code"] == code, at
    early = (await api(MOVE, id=november["id"], at="2026-12-01T00:00:00Z"))["invoiceUpdateIssueDate"]
    assert early["invoice"]["dueAt"] == "2026-12-01T00:00:00Z"
    back = (await api(MOVE, id=november["id"], at=None))["invoiceUpdateIssueDate"]
    assert back["invoice"]["dueAt"] == "2026-12-02T00:00:00Z"
