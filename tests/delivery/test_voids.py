"""Deliveries of void invoices: never begun, called off, taken back at the provider; marketplaces are sent less."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.delivery import actions, external
from app.delivery.owing import owed_through
from app.delivery.slot_actions import resolve_slot
from app.delivery.states import CREDITED, DeliveryStatus
from app.delivery.tables import Delivery
from app.delivery.voids import CALLED_OFF
from app.errors import InvalidState
from app.invoices.regenerating import regenerate_invoice
from app.invoices.tables import Invoice
from app.invoices.voiding import void_invoice
from connectors.base import CREDIT_NEEDED, Document, OutcomeStatus, ProviderEntry
from tests.delivery.world import HOUR, NO_BUYER, NOVEMBER, SETTINGS, World


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


def at_stripe(world: World, method: str, path: str) -> None:
    """What somebody does in the dashboard."""
    headers = {"authorization": "Bearer sk_test_person"}
    assert world.sandbox.http.request(method, f"/v1/invoices/{path}", headers=headers).is_success


async def the_delivery(world: World) -> Delivery:
    [delivery] = await world.deliveries()
    return delivery


async def try_again(world: World) -> Delivery:
    delivery = await the_delivery(world)
    async with world.store.transaction() as session:
        await actions.retry(session, world.connections, delivery.id, now=world.now)
    await world.sweep()
    return await the_delivery(world)


async def give_up(world: World) -> Delivery:
    delivery = await the_delivery(world)
    async with world.store.transaction() as session:
        return await actions.cancel(session, delivery.id, reason="done by hand", now=world.now)


async def test_what_was_paid_is_credited_by_hand_and_given_up(world: World) -> None:
    invoice = await billed(world, "stripe")
    await world.sweep()
    at_stripe(world, "POST", f"{(await the_delivery(world)).provider_reference}/pay")
    await void(world, invoice, in_provider=True)
    await world.sweep()
    found = await the_delivery(world)
    assert (found.status, found.error_code) == (DeliveryStatus.NEEDS_ATTENTION, CREDIT_NEEDED)
    assert "then cancel the delivery" in str(found.error_hint)
    assert (await try_again(world)).error_code == CREDIT_NEEDED
    found = await give_up(world)
    assert (found.status, found.error_code) == (DeliveryStatus.CANCELED, CREDITED)


@pytest.mark.parametrize("how", [try_again, give_up])
async def test_what_was_voided_on_its_way_is_voided_by_hand_and_closed(
    world: World, how: Callable[[World], Awaitable[Delivery]]
) -> None:
    invoice = await billed(world, "stripe")
    world.sandbox.fault("stripe", "drop_after", match="finalize")
    await world.sweep()
    await void(world, invoice)
    world.sandbox.move(hours=1)
    await world.sweep()
    found = await the_delivery(world)
    [there] = world.sandbox.effects("stripe")
    assert (found.status, found.error_code) == (DeliveryStatus.NEEDS_ATTENTION, CALLED_OFF)
    assert found.error_hint == f"Void {there['id']} at the provider, then cancel the delivery."
    assert (await try_again(world)).status == DeliveryStatus.NEEDS_ATTENTION, "it stands there as before"
    at_stripe(world, "POST", f"{there['id']}/void")
    assert (await how(world)).status == DeliveryStatus.CANCELED


async def test_what_replaced_a_deleted_draft_is_taken_back(world: World) -> None:
    """The try that made the second draft was killed; nothing that was known of the first one may stand for it."""
    await world.account("stripe", settings=SETTINGS["stripe"] | {"leaveInDraft": "true"})
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    first = await the_delivery(world)
    at_stripe(world, "DELETE", str(first.provider_reference))
    async with world.store.transaction() as session:
        gone = ProviderEntry(provider_reference=str(first.provider_reference), provider_status="deleted")
        await external.observe(session, first.id, gone, connection=first.connection, now=world.now)
        await actions.retry(session, world.connections, first.id, now=world.now)
    code, output = world.run("sync", "all", failpoint="delivery.called")
    assert code == -signal.SIGKILL, output
    [second] = world.sandbox.effects("stripe")
    assert second["id"] != first.provider_reference
    with pytest.raises(InvalidState, match="may have reached the provider"):
        await give_up(world)
    [invoice] = await world.invoices()
    await void(world, invoice, in_provider=True)
    await world.sweep()
    found = await the_delivery(world)
    assert (found.status, found.provider_reference) == (DeliveryStatus.CANCELED, second["id"])
    assert world.sandbox.effects("stripe") == []


async def test_a_void_invoice_takes_nothing_of_what_a_marketplace_has_counted(world: World) -> None:
    """Of 5.00 nobody knows whether they were counted; the invoice is void, and made again. Then somebody knows."""
    await world.account("aws_marketplace")
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    world.sandbox.fault("aws_marketplace", "drop_after")
    await world.sweep()
    world.sandbox.move(hours=25)
    await world.sweep()
    assert (await the_delivery(world)).status == DeliveryStatus.NEEDS_ATTENTION
    [first] = await world.invoices()
    async with world.store.transaction() as session:
        await void_invoice(session, first.id, reason="wrong", now=world.now)
        again = await regenerate_invoice(session, first.id, now=world.now)
    await world.open()
    [slot] = await world.slots()
    async with world.store.transaction() as session:
        await resolve_slot(session, slot.id, was_counted=True, reason="AWS shows it", now=world.now)
    by_invoice = {delivery.invoice_id: delivery for delivery in await world.deliveries()}
    assert by_invoice[again.id].status == DeliveryStatus.DELIVERED
    await world.sweep()
    by_invoice = {delivery.invoice_id: delivery for delivery in await world.deliveries()}
    assert by_invoice[first.id].status == DeliveryStatus.CANCELED
    assert by_invoice[again.id].acknowledged == Decimal(5)


async def test_a_void_invoice_at_a_marketplace_needs_nobodys_attention(world: World) -> None:
    await world.account("aws_marketplace", settings=NO_BUYER["aws_marketplace"])
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    await world.sweep()
    assert (await the_delivery(world)).status == DeliveryStatus.NEEDS_ATTENTION
    [invoice] = await world.invoices()
    await void(world, invoice)
    await world.sweep()
    assert (await the_delivery(world)).status == DeliveryStatus.CANCELED


async def test_what_gets_there_after_it_was_voided_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knew that it would, so nobody asked for it to be taken back; it must not be charged in silence."""
    invoice = await billed(world, "stripe")
    connector: Any = world.connections.find("stripe-sandbox").connector  # type: ignore[union-attr]
    deliver = connector.deliver

    async def be_slow(document: Document, key: str) -> Any:
        await void(world, invoice)
        return await deliver(document, key)

    monkeypatch.setattr(connector, "deliver", be_slow)
    for _ in range(2):
        await world.sweep()
    found = await the_delivery(world)
    assert (found.status, found.error_code) == (DeliveryStatus.NEEDS_ATTENTION, CALLED_OFF)
    assert found.error_hint == f"Void {found.provider_reference} at the provider, then cancel the delivery."


async def test_an_account_that_does_not_answer_is_asked_about_one_void_in_a_sweep(world: World) -> None:
    for name in ("acme", "other"):
        await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"})
        await world.use(500, at=NOVEMBER - HOUR, customer=name)
    await world.finalize()
    await world.sweep()
    for invoice in await world.invoices():
        await void(world, invoice, in_provider=True)
    world.sandbox.fault("stripe", "refuse_500", times=None)
    before = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == before + 1


async def test_voiding_what_was_refused_closes_it(world: World) -> None:
    invoice = await billed(world, "stripe")
    world.sandbox.fault("stripe", "reject", match="invoices.create")
    await world.sweep()
    assert (await the_delivery(world)).status == DeliveryStatus.NEEDS_ATTENTION
    world.sandbox.move(minutes=1)
    await void(world, invoice)
    await world.sweep()
    assert (await the_delivery(world)).status == DeliveryStatus.CANCELED


@pytest.mark.parametrize("in_provider", [True, False])
async def test_voiding_what_stands_at_the_provider_with_another_total(
    world: World, in_provider: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person was asked to look, and voids it: it is taken back, or told where it stands."""
    invoice = await billed(world, "stripe")
    connector: Any = world.connections.find("stripe-sandbox").connector  # type: ignore[union-attr]
    deliver = connector.deliver

    async def drift(document: Document, key: str) -> Any:
        [outcome] = await deliver(document, key)
        return [replace(outcome, status=OutcomeStatus.COLLISION, code="TOTAL_DRIFT")]

    monkeypatch.setattr(connector, "deliver", drift)
    await world.sweep()
    assert (await the_delivery(world)).error_code == "TOTAL_DRIFT"
    world.sandbox.move(minutes=1)
    await void(world, invoice, in_provider=in_provider)
    world.sandbox.move(minutes=1)
    await world.sweep()
    found = await the_delivery(world)
    [there] = world.sandbox.effects("stripe")
    assert (found.status, found.error_code, there["status"]) == (
        (DeliveryStatus.CANCELED, CALLED_OFF, "void")
        if in_provider
        else (DeliveryStatus.NEEDS_ATTENTION, CALLED_OFF, "open")
    )
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls, "a person decides"
