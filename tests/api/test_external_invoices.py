"""Invoices as they stand at their provider, through the API: from queued to paid, and the notices that told of it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from app.clock import Clock
from app.delivery.awaiting import read_back_awaited
from app.delivery.inbound import Place, Way, handle_all, receive
from app.main import create_app
from app.settings import Settings
from app.worker import NOTICE_HANDLERS
from connectors.base import Notification
from tests.api.conftest import Api
from tests.delivery.conftest import sandbox, sandbox_process, world
from tests.delivery.test_routes import fixed
from tests.delivery.world import HOUR, NOVEMBER, SETTINGS, World

__all__ = ["sandbox", "sandbox_process", "world"]

INVOICES = """{ invoices(filter: {status: [FINALIZED, VOID]}) { nodes { paymentStatus externalInvoice {
  provider connection externalId status providerStatus paymentStatus total { amount currency } tax { amount } amountPaid { amount }
  dueAt effectiveAt observedAt error { code } } } } }"""
REQUESTS = """{ invoices(filter: {status: [FINALIZED]}) { nodes { paymentStatus externalInvoice {
  externalId status providerStatus paymentStatus message chargeId total { amount } error { code } } } } }"""
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
    settings = {"stripeCustomerId": "cus_Acme", "collectionMethod": "send_invoice", "daysUntilDue": "7"} | {
        "tax": "rates", "taxRates": "txr_exclusive10"
    }  # fmt: skip
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
            "providerStatus": "open", "paymentStatus": "PENDING", "total": None, "tax": None, "amountPaid": None, "dueAt": None,
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
    assert (found["total"], found["tax"]) == ({"amount": "13.57", "currency": "USD"}, {"amount": "1.23"})
    assert found["amountPaid"] == {"amount": "13.57"}
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


async def test_a_payment_request_shows_what_the_buyer_said(api: Api, world: World) -> None:
    account = "{ providerAccounts { nodes { provider takesPaymentRequests } } }"
    takes = {
        node["provider"]: node["takesPaymentRequests"] for node in (await api(account))["providerAccounts"]["nodes"]
    }
    assert [provider for provider, is_so in takes.items() if is_so] == ["aws_marketplace"]
    terms = await fixed(world, (NOVEMBER, "12.34"))
    await world.account("aws_marketplace", settings=SETTINGS["aws_payments"], starting_at=NOVEMBER, own_terms=terms)
    await world.finalize()
    await world.sweep()
    [request] = world.sandbox.requests()
    place = Place(world.store, world.connections, world.sandbox.now)
    for status, said, payment in (
        ("PENDING_APPROVAL", None, "PENDING"), ("APPROVED", "thank you", None),
    ):  # fmt: skip
        if said:
            world.sandbox.answer(request["id"], status, said)
        assert await read_back_awaited(place) == 1
        [invoice] = (await api(REQUESTS))["invoices"]["nodes"]
        external = invoice["externalInvoice"]
        charge = external.pop("chargeId")
        assert invoice["paymentStatus"] == payment
        assert external == {
            "externalId": f"agmt-acme/{request['id']}", "status": status, "providerStatus": status,
            "paymentStatus": payment, "message": said, "total": {"amount": "12.34"}, "error": None,
        }  # fmt: skip
        assert (charge or "").startswith("ch-") == bool(said)
