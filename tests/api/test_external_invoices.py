"""Invoices as they stand at their provider, through the API: from queued to paid, and the notices that told of it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from app.clock import Clock
from app.delivery.inbound import Place, Way, handle_all, receive
from app.main import create_app
from app.settings import Settings
from app.worker import NOTICE_HANDLERS
from connectors.base import Notification
from tests.api.conftest import Api
from tests.delivery.conftest import sandbox, sandbox_process, world
from tests.delivery.world import HOUR, NOVEMBER, World

__all__ = ["sandbox", "sandbox_process", "world"]

INVOICES = """{ invoices(filter: {status: [FINALIZED, VOID]}) { nodes { paymentStatus externalInvoice {
  provider connection externalId status providerStatus paymentStatus total { amount currency } amountPaid { amount }
  dueAt effectiveAt observedAt error { code } } } } }"""
NOTICES = """query ($filter: ProviderNoticeFilter) { providerNotices(filter: $filter) { totalCount nodes {
  id provider connection eventId kind way state attempts handledAt error { code } } } }"""


@pytest.fixture
def app(settings: Settings, world: World) -> Starlette:
    """The application on the seller's deployment."""
    return create_app(settings, world.store, Clock(str(world.sandbox.clock_file)), providers=world.connections)


async def shown(api: Api) -> dict[str, Any]:
    [invoice] = (await api(INVOICES))["invoices"]["nodes"]
    return invoice


async def tell(world: World, number: int, reference: str) -> None:
    connection = world.connections.find("stripe-sandbox")
    assert connection is not None
    notice = Notification(
        event_id=f"evt_{number}", kind="invoice.updated", occurred_at=world.now, provider_reference=reference
    )
    async with world.store.transaction() as session:
        await receive(session, connection, notice, way=Way.WEBHOOK, now=world.now)
    await handle_all(Place(world.store, world.connections, world.sandbox.now), NOTICE_HANDLERS)


async def test_an_invoice_shows_how_it_stands_at_stripe(api: Api, world: World) -> None:
    settings = {"stripeCustomerId": "cus_Acme", "collectionMethod": "send_invoice", "daysUntilDue": "7"}
    await world.account("stripe", settings=settings)
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()
    assert await shown(api) == {"paymentStatus": "NOT_SENT", "externalInvoice": None}
    await world.open()
    found = await shown(api)
    assert (found["externalInvoice"]["status"], found["externalInvoice"]["externalId"]) == ("QUEUED", None)
    await world.sweep()
    [invoice] = world.sandbox.effects("stripe")
    assert await shown(api) == {
        "paymentStatus": "PENDING",
        "externalInvoice": {
            "provider": "stripe", "connection": "stripe-sandbox", "externalId": invoice["id"], "status": "FINALIZED",
            "providerStatus": "open", "paymentStatus": "PENDING", "total": None, "amountPaid": None, "dueAt": None,
            "effectiveAt": "2026-10-31T23:59:59Z", "observedAt": None, "error": None,
        },
    }  # fmt: skip
    await tell(world, 1, invoice["id"])
    assert (await shown(api))["externalInvoice"]["dueAt"] == "2026-11-09T12:00:00Z"
    world.sandbox.move(days=8)
    assert (await shown(api))["paymentStatus"] == "OVERDUE"
    at_stripe = f"/v1/invoices/{invoice['id']}"
    person = {"authorization": "Bearer sk_test_person"}
    refused = world.sandbox.http.post(f"{at_stripe}/pay", headers=person, data={"payment_method": "pm_card_chargeDeclined"})  # fmt: skip
    assert refused.status_code == 402
    await tell(world, 2, invoice["id"])
    found = await shown(api)
    assert (found["paymentStatus"], found["externalInvoice"]["status"]) == ("FAILED", "PAYMENT_FAILED")
    assert world.sandbox.http.post(f"{at_stripe}/pay", headers=person).is_success
    await tell(world, 3, invoice["id"])
    found = (await shown(api))["externalInvoice"]
    assert (found["status"], found["paymentStatus"], found["observedAt"]) == ("PAID", "PAID", "2026-11-10T12:00:00Z")
    assert (found["total"], found["amountPaid"]) == ({"amount": "12.34", "currency": "USD"}, {"amount": "12.34"})
    notices = (await api(NOTICES, filter={"state": ["HANDLED"], "connection": ["stripe-sandbox"]}))["providerNotices"]
    assert notices["totalCount"] == 3
    newest = notices["nodes"][0]
    assert newest.pop("id").startswith("ntc_")
    assert newest == {
        "provider": "stripe", "connection": "stripe-sandbox", "eventId": "evt_3", "kind": "invoice.updated",
        "way": "webhook", "state": "HANDLED", "attempts": 1, "handledAt": "2026-11-10T12:00:00Z", "error": None,
    }  # fmt: skip
    other = await api(NOTICES, filter={"state": ["RECEIVED", "FAILED"], "providerReference": invoice["id"]})
    assert other["providerNotices"]["totalCount"] == 0
