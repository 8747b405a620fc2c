"""Deliveries of void invoices: never begun, called off, taken back at the provider; marketplaces are sent less."""

from __future__ import annotations

from decimal import Decimal

from app.delivery.owing import owed_through
from app.delivery.states import DeliveryStatus
from app.invoices.regenerating import regenerate_invoice
from app.invoices.tables import Invoice
from app.invoices.voiding import void_invoice
from tests.delivery.world import HOUR, NOVEMBER, World


async def void(world: World, invoice: Invoice, *, in_provider: bool = False) -> None:
    async with world.store.transaction() as session:
        await void_invoice(session, invoice.id, reason="wrong", in_provider=in_provider, now=world.now)


async def billed(world: World, provider: str) -> Invoice:
    await world.account(provider)
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    [invoice] = await world.invoices()
    return invoice


async def test_a_void_invoice_is_never_sent(world: World) -> None:
    first = await billed(world, "stripe")
    await void(world, first)
    await world.sweep()
    assert await world.deliveries() == []
    async with world.store.transaction() as session:
        again = await regenerate_invoice(session, first.id, now=world.now)
    await world.open()
    await void(world, again)
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.invoice_id, delivery.status, delivery.attempts) == (again.id, DeliveryStatus.CANCELED, 0)
    assert world.sandbox.effects("stripe") == []


async def test_what_was_delivered_stays_unless_it_is_to_be_taken_back(world: World) -> None:
    first = await billed(world, "stripe")
    await world.sweep()
    await void(world, first)
    await world.sweep()
    assert [delivery.status for delivery in await world.deliveries()] == [DeliveryStatus.DELIVERED]
    assert [invoice["status"] for invoice in world.sandbox.effects("stripe")] != ["void"]
    async with world.store.transaction() as session:
        again = await regenerate_invoice(session, first.id, now=world.now)
    await world.sweep()
    await void(world, again, in_provider=True)
    await world.sweep()
    by_invoice = {delivery.invoice_id: delivery for delivery in await world.deliveries()}
    assert by_invoice[again.id].status == DeliveryStatus.CANCELED
    assert by_invoice[again.id].provider_status == "void"
    assert sorted(invoice["status"] for invoice in world.sandbox.effects("stripe")).count("void") == 1
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls, "a second sweep calls nobody"


async def test_a_marketplace_is_owed_nothing_for_a_void_invoice(world: World) -> None:
    first = await billed(world, "aws_marketplace")
    await world.sweep()
    await void(world, first)
    await world.sweep()
    async with world.store.transaction() as session:
        chosen = first.billing_configuration_id
        assert chosen is not None
        owed = await owed_through(session, first.customer_id, [chosen], requesting=(), now=world.now)
        assert owed == {chosen: Decimal(0)}
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.CANCELED, 0)
