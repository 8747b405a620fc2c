"""Providers that fail in every way they can: each invoice ends delivered once, or says that it needs somebody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.delivery import actions, service
from app.delivery.metering import REFUSAL_PAUSE
from app.delivery.service import MAX_ATTEMPTS, deliver, due_deliveries
from app.delivery.states import DeliveryStatus, SlotStatus
from app.errors import ErrorCode, InvalidState
from connectors.base import Terminal
from tests.delivery.world import HOUR, NOVEMBER, PROVIDERS, SETTINGS, World

PASSING = ("refuse_500", "throttle_429", "drop_before", "drop_after", "html_200", "error_in_200")
STEPS = {
    "stripe": ("invoices.list", "invoices.create", "invoices.add_lines", "invoices.finalize"),
    "aws_marketplace": ("BatchMeterUsage",),
    "azure_marketplace": ("usageEvent",),
}


async def owing(world: World, provider: str, **settings: str) -> None:
    """An invoice over 12.34 USD that is final and not delivered."""
    await world.account(provider, settings=settings)
    await world.use(1234, at=NOVEMBER - HOUR)
    assert (await world.finalize()).finalized == 1


async def delivered_once(world: World, provider: str) -> None:
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged, delivery.error_code) == (
        DeliveryStatus.DELIVERED,
        delivery.total,
        None,
    )
    if provider == "stripe":
        assert [(one["status"], one["total"]) for one in world.sandbox.effects(provider)] == [("open", 1234)]
    else:
        assert world.sandbox.metered(provider) == 1234


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_passes_is_repeated_until_it_works(world: World, provider: str, kind: str) -> None:
    await owing(world, provider)
    for step in STEPS[provider]:
        # More often than a connector tries by itself, so that the whole attempt fails.
        world.sandbox.fault(provider, kind, match=step, times=None)
        await world.sweep()
        [delivery] = await world.deliveries()
        if provider == "stripe":
            assert delivery.status == DeliveryStatus.FAILED
            assert delivery.next_attempt_at is not None
            assert delivery.next_attempt_at > world.now
            assert delivery.error_message
        else:
            [slot] = await world.slots()
            assert (delivery.status, slot.status) == (DeliveryStatus.PENDING, SlotStatus.SENDING)
            assert slot.error_message
        world.sandbox.reset("faults")
    if provider == "stripe" and kind == "refuse_500":
        # Stripe replays a 500 to its key for a day; afterwards the key is forgotten, and our reference finds the rest.
        world.sandbox.move(hours=25)
    await world.sweep()
    await delivered_once(world, provider)
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_refusal_waits_for_somebody_and_is_seen(world: World, provider: str) -> None:
    await owing(world, provider)
    world.sandbox.fault(provider, "reject", times=None)
    await world.sweep()
    [delivery] = await world.deliveries()
    assert delivery.status == DeliveryStatus.NEEDS_ATTENTION
    assert delivery.error_code
    assert delivery.error_message
    world.sandbox.reset("faults", "calls")
    await world.sweep()
    assert world.sandbox.calls() == 0, "nothing that was refused is tried blindly"
    if provider == "stripe":
        async with world.store.transaction() as session:
            await actions.retry(session, world.connections, delivery.id, now=world.now)
    else:
        world.sandbox.set_clock(world.now + REFUSAL_PAUSE + HOUR)
    await world.sweep()
    await delivered_once(world, provider)


async def test_waits_grow_and_end_with_a_person(world: World) -> None:
    await owing(world, "stripe")
    world.sandbox.fault("stripe", "throttle_429", times=None)
    await world.sweep()
    waits: list[timedelta] = []
    for _ in range(6):
        [delivery] = await world.deliveries()
        assert delivery.next_attempt_at is not None
        waits.append(delivery.next_attempt_at - world.now)
        async with world.store.transaction() as session:
            assert await due_deliveries(session, now=delivery.next_attempt_at - timedelta(seconds=1)) == []
        world.sandbox.set_clock(delivery.next_attempt_at)
        assert await deliver(world.store, world.connections, delivery.id, clock=world.sandbox.now)
    assert waits[0] <= timedelta(seconds=30)
    assert waits[-1] > 4 * waits[0]
    async with world.store.transaction() as session:
        row = await actions.get_delivery(session, delivery.id)
        row.attempts = MAX_ATTEMPTS - 1
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.NEEDS_ATTENTION, MAX_ATTEMPTS)


class Faulty:
    """A connector with a mistake of its own, which no protocol can rule out."""

    def __init__(self, inner: Any, fault: Exception) -> None:
        self.inner = inner
        self.fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def deliver(self, document: object, key: str) -> object:
        raise self.fault


async def test_a_document_that_cannot_be_made_needs_attention(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await owing(world, "stripe")

    async def fail(*_: object) -> object:
        raise KeyError("a heading that is not there")

    with monkeypatch.context() as patched:
        patched.setattr(service, "invoice_document", fail)
        await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code, delivery.attempts) == ("NEEDS_ATTENTION", "DOCUMENT", 0)
    async with world.store.transaction() as session:
        await actions.retry(session, world.connections, delivery.id, now=world.now)
    await world.sweep()
    await delivered_once(world, "stripe")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_mistake_of_a_connector_stops_nobody_in_silence(world: World, provider: str) -> None:
    await owing(world, provider)
    [connection] = [item for item in world.connections.all() if item.provider == provider]
    right = connection.connector
    object.__setattr__(connection, "connector", Faulty(right, KeyError("x")))
    await world.sweep()
    [delivery] = await world.deliveries()
    told = delivery.error_message if provider == "stripe" else (await world.slots())[0].error_message
    assert told == "The connector failed (KeyError)"
    object.__setattr__(connection, "connector", Faulty(right, Terminal("X" * 100, "y" * 3000, hint="z" * 3000)))
    await world.sweep()
    [delivery] = await world.deliveries()
    told = delivery.error_message if provider == "stripe" else (await world.slots())[0].error_message
    assert told == "y" * 2000, "an answer that is too long is kept in part, not lost"
    object.__setattr__(connection, "connector", right)
    if provider == "stripe":
        async with world.store.transaction() as session:
            await actions.retry(session, world.connections, delivery.id, now=world.now)
    await world.sweep()
    await delivered_once(world, provider)


async def test_only_what_cannot_have_been_billed_is_canceled(world: World) -> None:
    await owing(world, "stripe")
    world.sandbox.fault("stripe", "throttle_429", times=None)
    await world.sweep()
    [delivery] = await world.deliveries()
    world.sandbox.reset("faults")
    world.sandbox.fault("stripe", "drop_after", match="invoices.finalize", times=None)
    await world.sweep()
    async with world.store.transaction() as session:
        with pytest.raises(InvalidState) as refused:
            await actions.cancel(session, delivery.id, reason="moved to wire transfer", now=world.now)
    assert refused.value.code == ErrorCode.ILLEGAL_TRANSITION
    world.sandbox.reset("faults")
    await world.sweep()
    await delivered_once(world, "stripe")
    async with world.store.transaction() as session:
        with pytest.raises(InvalidState):
            await actions.retry(session, world.connections, delivery.id, now=world.now)


async def test_a_delivery_that_was_never_answered_with_an_effect_can_be_canceled(world: World) -> None:
    await owing(world, "stripe", stripeCustomerId="cus_missing")
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "RESOURCE_MISSING")
    async with world.store.transaction() as session:
        await actions.cancel(session, delivery.id, reason="a typo in the customer", now=world.now)
    world.sandbox.reset("calls")
    await world.sweep()
    assert world.sandbox.calls() == 0
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_message) == (DeliveryStatus.CANCELED, "a typo in the customer")


async def test_an_account_that_is_gone_is_named_and_found_again(world: World) -> None:
    await owing(world, "aws_marketplace")
    everything = world.connections
    world.connections = type(everything)({item.name: item for item in everything.all() if item.provider == "stripe"})
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "NO_CONNECTION")
    world.connections = everything
    async with world.store.transaction() as session:
        await actions.retry(session, world.connections, delivery.id, now=world.now)
    await world.sweep()
    await delivered_once(world, "aws_marketplace")


async def test_nothing_owed_and_other_currencies_are_not_sent(world: World) -> None:
    customer_id = await world.customer()
    aws = await world.configuration(customer_id, "aws_marketplace")
    stripe = await world.configuration(customer_id, "stripe", **SETTINGS["stripe"])
    await world.contract(customer_id, aws)
    await world.contract(customer_id, stripe)
    assert (await world.finalize()).finalized == 2
    await world.sweep()
    states = {item.provider: item.status for item in await world.deliveries()}
    assert states == {"aws_marketplace": DeliveryStatus.DELIVERED, "stripe": states["stripe"]}
    assert states["stripe"] in (DeliveryStatus.DELIVERED, DeliveryStatus.SKIPPED)
    assert world.sandbox.effects("aws_marketplace") == []
