"""Money that was metered at one provider never goes to another one as well."""

from __future__ import annotations

import pytest

from app.contracts.service import set_billing_configuration
from app.customers.billing import archive_billing_configuration, create_billing_configuration
from app.errors import ErrorCode, InvalidState
from tests.delivery.world import HOUR, NOON, SETTINGS, World

AWS = "aws_marketplace"


async def test_a_contract_leaves_a_marketplace_only_before_anything_was_metered(world: World) -> None:
    contract = await world.account(AWS)
    stripe = await world.configuration(contract.customer_id, "stripe")
    aws = contract.billing_configuration_id
    async with world.store.transaction() as session:
        await set_billing_configuration(session, world.connections, contract.id, stripe)
        await set_billing_configuration(session, world.connections, contract.id, aws)
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    with pytest.raises(InvalidState) as refused:
        async with world.store.transaction() as session:
            await set_billing_configuration(session, world.connections, contract.id, stripe)
    assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    assert world.sandbox.metered(AWS) == 100


async def test_a_default_through_which_usage_was_metered_stays_the_default(world: World) -> None:
    customer = await world.customer()
    async with world.store.transaction() as session:
        default = await create_billing_configuration(
            session, world.connections, customer_id=customer, provider=AWS, settings=SETTINGS[AWS], is_default=True,
            now=world.now,
        )  # fmt: skip
    await world.contract(customer, None)
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    assert world.sandbox.metered(AWS) == 100
    for step in ("another default", "archive"):
        with pytest.raises(InvalidState) as refused:
            async with world.store.transaction() as session:
                if step == "archive":
                    await archive_billing_configuration(session, default.id, now=world.now)
                else:
                    await create_billing_configuration(
                        session, world.connections, customer_id=customer, provider="stripe",
                        settings=SETTINGS["stripe"], is_default=True, now=world.now,
                    )  # fmt: skip
        assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION, step
