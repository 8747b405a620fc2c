"""Customers are metered apart: what goes wrong with one of them, or takes long, holds up no other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.delivery import metering
from app.delivery.registry import Connection, Connections
from app.delivery.states import DeliveryStatus, SlotStatus
from connectors.base import Document, Transient
from tests.delivery.world import HOUR, NOON, NOVEMBER, SETTINGS, World

AWS = "aws_marketplace"
OTHER = SETTINGS[AWS] | {"awsCustomerAccountId": "210987654321", "licenseArn": SETTINGS[AWS]["licenseArn"] + "-other"}


def account_of(world: World) -> Connection:
    found = world.connections.find("aws-sandbox")
    assert found is not None
    return found


async def test_a_batch_that_always_fails_lets_others_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connector: Any = account_of(world).connector
    monkeypatch.setattr(type(connector), "capabilities", replace(connector.capabilities, batch_size=1))
    deliver = connector.deliver

    async def fail(document: Document, key: str) -> Any:
        if document.records[0].customer == SETTINGS[AWS]:  # type: ignore[union-attr]
            raise Transient("not now")
        return await deliver(document, key)

    monkeypatch.setattr(connector, "deliver", fail)
    await world.account(AWS)
    await world.account(AWS, name="other", settings=OTHER)
    for customer in ("acme", "other"):
        await world.use(40, at=NOON - HOUR, customer=customer)
    for _ in range(2):
        await world.sweep()
    assert {slot.record["customer"]["licenseArn"][-5:]: slot.status for slot in await world.slots()} == {
        "-acme": SlotStatus.SENDING, "other": SlotStatus.ACCEPTED,
    }  # fmt: skip


@pytest.mark.parametrize("customers", [("acme", "acme"), ("acme", "twin")], ids=["one customer", "two customers"])
async def test_configurations_of_one_buyer_take_turns(world: World, customers: tuple[str, str]) -> None:
    """Each has new usage every hour; the first one must not take every hour of the buyer."""
    of_name = {name: await world.customer(name) for name in dict.fromkeys(customers)}
    configurations = [await world.configuration(of_name[name], AWS) for name in customers]
    for name, configuration in zip(customers, configurations, strict=True):
        await world.contract(of_name[name], configuration)
    for _ in range(6):
        for name in of_name:
            await world.use(40, at=world.now - HOUR, customer=name)
        await world.sweep()
        world.sandbox.move(hours=1)
    used = [slot.billing_configuration_id for slot in await world.slots()]
    assert [used.count(configuration) for configuration in configurations] == [3, 3]


async def test_a_customer_that_cannot_be_rated_is_told_after_the_others_were_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (await world.account(AWS)).customer_id
    await world.account(AWS, name="other", settings=OTHER)
    for customer in ("acme", "other"):
        await world.use(40, at=NOON - HOUR, customer=customer)
    rate = metering.owed_through

    async def fail(session: AsyncSession, customer_id: UUID, *arguments: Any, **more: Any) -> dict[UUID, Decimal]:
        if customer_id == broken:
            raise ArithmeticError("its prices contradict each other")
        return await rate(session, customer_id, *arguments, **more)

    monkeypatch.setattr(metering, "owed_through", fail)
    with pytest.raises(ArithmeticError):
        await world.sweep()
    [slot] = await world.slots()
    assert (slot.record["customer"], slot.status) == (OTHER, SlotStatus.ACCEPTED)


async def test_an_account_that_was_removed_needs_attention_until_it_is_back(world: World) -> None:
    await world.account(AWS)
    await world.use(40, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.open()
    live = world.connections
    world.connections = Connections({item.name: item for item in live.all() if item.name != "aws-sandbox"})
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "NO_CONNECTION")
    world.connections = live
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code, world.sandbox.metered(AWS)) == (DeliveryStatus.DELIVERED, None, 40)


async def test_a_record_that_a_connector_leaves_out_is_unknown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connector: Any = account_of(world).connector

    async def leave_out(document: Document, key: str) -> list[Any]:
        return []

    await world.account(AWS)
    await world.use(40, at=NOON - HOUR)
    with monkeypatch.context() as patched:
        patched.setattr(connector, "deliver", leave_out)
        await world.sweep()
    [slot] = await world.slots()
    assert (slot.status, slot.error_code) == (SlotStatus.SENDING, "NOT_ANSWERED")
    await world.sweep()
    [slot] = await world.slots()
    assert slot.status == SlotStatus.ACCEPTED
