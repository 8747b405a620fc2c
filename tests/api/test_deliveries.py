"""Deliveries and metering slots through the API: every try is shown, and a person can act on what needs one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from app.clock import Clock
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests.api.conftest import Api
from tests.api.statements import counted
from tests.delivery.conftest import sandbox, sandbox_process, world
from tests.delivery.world import HOUR, NO_BUYER, NOVEMBER, World

__all__ = ["sandbox", "sandbox_process", "world"]

DELIVERY = """
id provider connection status isMetered total { amount currency } acknowledged { amount } providerReference
providerStatus effectiveAt nextAttemptAt deliveredAt lastError { code message hint }
invoice { id number } customer { name } billingConfiguration { provider }
attempts { number startedAt idempotencyKey receipt { outcome acknowledged providerReference providerStatus code message
  hint requestIds } }
"""
LIST = f"""query ($filter: DeliveryFilter, $first: Int) {{
  deliveries(filter: $filter, first: $first) {{ totalCount nodes {{ {DELIVERY} }} }} }}"""
SLOTS = """query ($filter: MeteringSlotFilter) { meteringSlots(filter: $filter) { totalCount nodes {
  id provider connection dimension hour quantity unitPrice amount { amount } owed { amount } status attempts
  lastError { code message hint } customer { name } billingConfiguration { id }
  receipts { outcome acknowledged providerReference code } } } }"""
RETRY = f"mutation ($id: ID!) {{ deliveryRetry(id: $id) {{ delivery {{ {DELIVERY} }} userErrors {{ code path status }} }} }}"
CANCEL = """mutation ($id: ID!, $reason: String!) { deliveryCancel(id: $id, reason: $reason) {
  delivery { status lastError { code message } } userErrors { code path status } } }"""
RESOLVE = """mutation ($id: ID!, $wasCounted: Boolean!, $reason: String!) {
  meteringSlotResolve(id: $id, wasCounted: $wasCounted, reason: $reason) {
    meteringSlot { status lastError { message } } userErrors { code path status } } }"""


@pytest.fixture
def app(settings: Settings, world: World) -> Starlette:
    """The application on the seller's deployment."""
    clock = Clock(str(world.sandbox.clock_file))
    return create_app(settings, world.store, clock, providers=world.connections)


async def owing(world: World, provider: str, **settings: str) -> None:
    """An invoice over 12.34 USD, final and on its way."""
    await world.account(provider, settings=settings)
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()


async def the_delivery(api: Api) -> dict[str, Any]:
    [node] = (await api(LIST))["deliveries"]["nodes"]
    return node


async def test_a_delivered_invoice_shows_what_the_provider_holds(api: Api, world: World) -> None:
    await owing(world, "stripe")
    await world.sweep()
    found = await the_delivery(api)
    [effect] = world.sandbox.effects("stripe")
    [attempt] = found.pop("attempts")
    receipt = attempt.pop("receipt")
    assert attempt == {"number": 1, "startedAt": "2026-11-02T12:00:00Z", "idempotencyKey": found["invoice"]["id"]}
    assert receipt.pop("requestIds")
    assert receipt == {
        "outcome": "ACCEPTED", "acknowledged": "12.34", "providerReference": effect["id"], "providerStatus": "open",
        "code": None, "message": None, "hint": None,
    }  # fmt: skip
    assert found.pop("id").startswith("dlv_")
    assert found == {
        "provider": "stripe",
        "connection": "stripe-sandbox",
        "status": "DELIVERED",
        "isMetered": False,
        "total": {"amount": "12.34", "currency": "USD"},
        "acknowledged": {"amount": "12.34"},
        "providerReference": effect["id"],
        "providerStatus": "open",
        "effectiveAt": "2026-10-31T23:59:59Z",
        "nextAttemptAt": None,
        "deliveredAt": "2026-11-02T12:00:00Z",
        "lastError": None,
        "invoice": {"id": found["invoice"]["id"], "number": "INV-000001"},
        "customer": {"name": "acme"},
        "billingConfiguration": {"provider": "stripe"},
    }
    one = "query ($id: ID!) { invoice(id: $id) { deliveries { status invoice { number } } } }"
    shown = await api(one, id=found["invoice"]["id"])
    assert shown["invoice"]["deliveries"] == [{"status": "DELIVERED", "invoice": {"number": "INV-000001"}}]


async def test_a_refused_one_is_retried_by_hand(api: Api, world: World, store: Store) -> None:
    await owing(world, "stripe")
    world.sandbox.fault("stripe", "reject", match="invoices.create")
    await world.sweep()
    found = await the_delivery(api)
    assert found["status"] == "NEEDS_ATTENTION"
    assert found["lastError"]["code"] == "PARAMETER_INVALID"
    assert found["lastError"]["hint"]
    assert found["attempts"][0]["receipt"]["outcome"] == "TERMINAL"
    answer = (await api(RETRY, id=found["id"]))["deliveryRetry"]
    assert (answer["delivery"]["status"], answer["userErrors"]) == ("PENDING", [])
    async with store.transaction() as session:
        jobs = await session.execute(text("select count(*) from procrastinate_jobs where task_name = 'delivery.open'"))
        assert jobs.scalar_one() == 1
    await world.sweep()
    found = await the_delivery(api)
    assert (found["status"], [attempt["number"] for attempt in found["attempts"]]) == ("DELIVERED", [1, 2])
    for document, more in ((RETRY, {}), (CANCEL, {"reason": "too late"})):
        [payload] = (await api(document, id=found["id"], **more)).values()
        assert payload["delivery"] is None
        assert payload["userErrors"] == [{"code": "ILLEGAL_TRANSITION", "path": ["id"], "status": 409}]
    log = await api('{ auditLog(filter: {action: ["delivery.retry"]}) { nodes { outcome code before after } } }')
    assert [(node["outcome"], node["code"]) for node in log["auditLog"]["nodes"]] == [
        ("refused", "ILLEGAL_TRANSITION"),
        ("ok", None),
    ]


async def test_one_that_was_never_sent_is_canceled(api: Api, world: World) -> None:
    await owing(world, "stripe")
    await world.open()
    found = await the_delivery(api)
    assert (found["status"], found["attempts"]) == ("PENDING", [])
    [payload] = (await api(CANCEL, id=found["id"], reason="  ")).values()
    assert payload["userErrors"] == [{"code": "REQUIRED", "path": ["reason"], "status": 400}]
    [payload] = (await api(CANCEL, id=found["id"], reason="paid by wire")).values()
    assert payload == {
        "delivery": {"status": "CANCELED", "lastError": {"code": "CANCELED", "message": "paid by wire"}},
        "userErrors": [],
    }
    await world.sweep()
    assert world.sandbox.calls() == 0


@pytest.mark.parametrize(
    ("document", "identifier", "code"),
    [
        (RETRY, f"dlv_{'0' * 32}", "NOT_FOUND"),
        (RETRY, "nonsense", "INVALID"),
        (CANCEL, f"dlv_{'0' * 32}", "NOT_FOUND"),
        (RESOLVE, f"slt_{'0' * 32}", "NOT_FOUND"),
        (RESOLVE, f"dlv_{'0' * 32}", "INVALID"),
    ],
)
async def test_what_is_not_there_is_a_user_error(api: Api, document: str, identifier: str, code: str) -> None:
    more = {"reason": "x"} if document is not RETRY else {}
    if document is RESOLVE:
        more["wasCounted"] = True  # type: ignore[assignment]
    [payload] = (await api(document, id=identifier, **more)).values()
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["id"])]


async def test_slots_show_their_money_and_their_answers(api: Api, world: World) -> None:
    await owing(world, "aws_marketplace")
    await world.sweep()
    [slot] = (await api(SLOTS))["meteringSlots"]["nodes"]
    [receipt] = slot.pop("receipts")
    assert (receipt["outcome"], receipt["acknowledged"]) == ("ACCEPTED", "1234")
    configuration = slot.pop("billingConfiguration")["id"]
    assert slot.pop("id").startswith("slt_")
    assert slot == {
        "provider": "aws_marketplace", "connection": "aws-sandbox", "dimension": "usage_fee",
        "hour": "2026-11-02T11:00:00Z", "quantity": "1234", "unitPrice": "0.01", "amount": {"amount": "12.34"},
        "owed": {"amount": "12.34"}, "status": "ACCEPTED", "attempts": 1, "lastError": None, "customer": {"name": "acme"},
    }  # fmt: skip
    for wanted, count in (
        ({"billingConfigurationId": configuration}, 1),
        ({"provider": ["azure_marketplace"]}, 0),
        ({"status": ["ACCEPTED"], "hour": {"gte": "2026-11-02T11:00:00Z", "lt": "2026-11-02T12:00:00Z"}}, 1),
        ({"hour": {"lt": "2026-11-02T11:00:00Z"}}, 0),
    ):
        assert (await api(SLOTS, filter=wanted))["meteringSlots"]["totalCount"] == count, wanted
    found = await the_delivery(api)
    assert (found["status"], found["isMetered"], found["attempts"]) == ("DELIVERED", True, [])


async def test_a_lost_slot_is_resolved_by_hand(api: Api, world: World) -> None:
    await owing(world, "azure_marketplace")
    world.sandbox.fault("azure_marketplace", "drop_before", times=None)
    await world.sweep()
    world.sandbox.reset("faults")
    world.sandbox.move(hours=25)
    await world.sweep()
    [slot] = (await api(SLOTS, filter={"status": ["NEEDS_ATTENTION"]}))["meteringSlots"]["nodes"]
    assert slot["lastError"]["code"] == "OUT_OF_WINDOW"
    assert "resolve" in slot["lastError"]["hint"]
    assert (await the_delivery(api))["lastError"] == slot["lastError"]
    [payload] = (await api(RESOLVE, id=slot["id"], wasCounted=False, reason="not in Partner Center")).values()
    assert payload == {
        "meteringSlot": {"status": "REFUSED", "lastError": {"message": "not in Partner Center"}},
        "userErrors": [],
    }
    assert (await the_delivery(api))["status"] == "PENDING"
    await world.sweep()
    assert (await the_delivery(api))["status"] == "DELIVERED"
    assert world.sandbox.metered("azure_marketplace") == 1234
    [payload] = (await api(RESOLVE, id=slot["id"], wasCounted=True, reason="again")).values()
    assert [error["code"] for error in payload["userErrors"]] == ["ILLEGAL_TRANSITION"]


async def test_deliveries_are_filtered(api: Api, world: World) -> None:
    await world.account("stripe", name="acme")
    await world.account("aws_marketplace", name="birch", settings=NO_BUYER["aws_marketplace"])
    for customer in ("acme", "birch"):
        await world.use(5, at=NOVEMBER - HOUR, customer=customer)
    await world.finalize()
    await world.sweep()
    everything = (await api(LIST))["deliveries"]
    assert everything["totalCount"] == 2
    states = {node["customer"]["name"]: node["status"] for node in everything["nodes"]}
    assert states == {"acme": "DELIVERED", "birch": "NEEDS_ATTENTION"}
    for wanted, names in (
        ({"status": ["NEEDS_ATTENTION", "FAILED"]}, ["birch"]),
        ({"provider": ["stripe"]}, ["acme"]),
        ({"updatedAt": {"gte": "2026-11-02T12:00:01Z"}}, []),
        ({"status": []}, []),
    ):
        found = (await api(LIST, filter=wanted))["deliveries"]["nodes"]
        assert [node["customer"]["name"] for node in found] == names, wanted


async def test_a_list_costs_no_more_statements_than_one(api: Api, world: World) -> None:
    for name in ("a", "b", "c"):
        await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"})
    await world.finalize()
    await world.sweep()
    await api(LIST, first=1)  # the first call of a key also notes that it was used
    with counted(world.store) as one:
        await api(LIST, first=1)
    with counted(world.store) as three:
        await api(LIST, first=3)
    assert len(one) == len(three)


async def test_sync_is_enqueued_once_for_known_providers(api: Api, store: Store) -> None:
    document = "mutation ($provider: String) { deliverySync(provider: $provider) { jobs userErrors { code path } } }"

    async def sync(provider: str | None) -> dict[str, Any]:
        return (await api(document, provider=provider))["deliverySync"]

    assert await sync("stripe") == {"jobs": 1, "userErrors": []}
    assert await sync("stripe") == {"jobs": 0, "userErrors": []}
    assert await sync(None) == {"jobs": 1, "userErrors": []}
    assert (await sync("paypal"))["userErrors"] == [{"code": "INVALID", "path": ["provider"]}]
    async with store.transaction() as session:
        found = await session.execute(
            text("select args->>'provider' from procrastinate_jobs where task_name = 'delivery.sync' order by id")
        )
    assert list(found.scalars()) == ["stripe", None]


async def test_scopes(api: Api, world: World) -> None:
    await owing(world, "stripe")
    await world.sweep()
    found = await the_delivery(api)
    reader = await api.with_scopes("delivery:read")
    assert (await reader("{ deliveries { totalCount } }"))["deliveries"] == {"totalCount": 1}
    [error] = await reader.errors(RETRY, id=found["id"])
    assert error["extensions"]["requiredScope"] == "delivery:write"
    [error] = await reader.errors("{ deliveries { nodes { invoice { id } } } }")
    assert error["extensions"]["requiredScope"] == "invoices:read"
    stranger = await world.customer("stranger")
    token = await api.with_scopes("delivery:read", customerId=f"cus_{stranger.hex}")
    assert (await token("query ($id: ID!) { delivery(id: $id) { id } }", id=found["id"]))["delivery"] is None
    [error] = await token.errors("{ deliveries { totalCount } }")
    assert error["extensions"]["code"] == "FORBIDDEN"
