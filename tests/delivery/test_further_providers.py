"""The billing run and the sweep through Google Cloud, a system of the seller's own, and a person."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.delivery.states import DeliveryStatus
from app.invoices.tables import Invoice
from app.invoices.voiding import void_invoice
from tests.delivery.world import HOUR, NOVEMBER, World


async def billed(world: World, provider: str) -> Invoice:
    await world.account(provider)
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    [invoice] = await world.invoices()
    return invoice


@pytest.mark.parametrize("provider", ["custom", "manual"])
async def test_an_invoice_is_delivered_once_and_taken_back_once(provider: str, world: World) -> None:
    invoice = await billed(world, provider)
    calls = world.sandbox.calls()
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged, delivery.attempts) == (DeliveryStatus.DELIVERED, Decimal(5), 1)
    if provider == "manual":
        assert (delivery.provider_reference, delivery.provider_status) == ("INV-000001", "handed over")
    async with world.store.transaction() as session:
        await void_invoice(session, invoice.id, reason="wrong", in_provider=True, now=world.now)
    for _ in range(2):
        await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.provider_status) == (DeliveryStatus.CANCELED, "voided")
    kinds = [message["body"]["type"] for message in world.sandbox.effects("custom")]
    assert kinds == (["invoice.finalized", "invoice.voided"] if provider == "custom" else [])
    assert world.sandbox.calls() == calls + len(kinds[1:])


async def test_a_void_reaches_a_receiver_whose_answer_was_lost(world: World) -> None:
    await world.account("custom")
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    world.sandbox.fault("custom", "drop_after")
    await world.sweep()
    [invoice] = await world.invoices()
    [delivery] = await world.deliveries()
    assert delivery.status == DeliveryStatus.FAILED
    async with world.store.transaction() as session:
        await void_invoice(session, invoice.id, reason="wrong", in_provider=True, now=world.now)
    world.sandbox.move(hours=7)
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.provider_status) == (DeliveryStatus.CANCELED, "voided")
    assert [message["body"]["type"] for message in world.sandbox.effects("custom")] == [
        "invoice.finalized", "invoice.voided",
    ]  # fmt: skip


async def test_usage_is_metered_at_google_and_covers_the_invoice(world: World) -> None:
    invoice = await billed(world, "gcp_marketplace")
    assert world.sandbox.metered("gcp_marketplace") == 500
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, invoice.total)
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls
