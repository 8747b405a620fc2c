"""Money that was metered at one provider never goes to another one as well."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from app.catalog.products import create_product
from app.contracts.charge_rules import NewCharge
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.contracts.reading import changeable_contract
from app.contracts.routing import RouteUpdate, update_route
from app.contracts.service import set_billing_configuration
from app.core.fees import ScheduledItem
from app.core.routing import EffectiveAt
from app.core.terms import ProductType
from app.customers.billing import archive_billing_configuration, create_billing_configuration
from app.errors import ErrorCode, InvalidState
from app.invoices.regenerating import regenerate_invoice
from app.invoices.voiding import void_invoice
from app.store.ids import to_text
from tests.delivery.world import HOUR, NOON, NOVEMBER, SETTINGS, World

AWS = "aws_marketplace"
CURRENT, NEXT = EffectiveAt.START_OF_CURRENT_PERIOD, EffectiveAt.START_OF_NEXT_PERIOD
DAY = timedelta(days=1)
DECEMBER, JANUARY = datetime.fromisoformat("2026-12-01T00:00Z"), datetime.fromisoformat("2027-01-01T00:00Z")


async def test_by_a_direct_choice_a_contract_that_has_begun_neither_leaves_a_marketplace_nor_comes_to_one(
    world: World,
) -> None:
    contract = await world.account(AWS)
    customer, aws = contract.customer_id, contract.billing_configuration_id
    stripe, manual = [await world.configuration(customer, name) for name in ("stripe", "manual")]
    invoiced = await world.contract(customer, stripe)
    coming = await world.contract(customer, aws, starting_at=DECEMBER)
    nowhere = await world.contract(customer, None)
    for moved, to in ((contract, stripe), (contract, None), (invoiced, aws)):
        with pytest.raises(InvalidState, match="START_OF_NEXT_PERIOD") as refused:
            async with world.store.transaction() as session:
                await set_billing_configuration(session, world.connections, moved.id, to, now=world.now)
        assert (refused.value.code, refused.value.path) == (ErrorCode.ILLEGAL_TRANSITION, ("billingConfigurationId",))
    # The same again is no move, nothing was begun elsewhere, and invoices may go another way at any time.
    for moved, to in ((contract, aws), (nowhere, aws), (coming, stripe), (coming, aws), (invoiced, manual)):
        async with world.store.transaction() as session:
            await set_billing_configuration(session, world.connections, moved.id, to, now=world.now)


async def default(world: World, customer_id: UUID, provider: str) -> UUID:
    """A new default of a customer."""
    async with world.store.transaction() as session:
        made = await create_billing_configuration(
            session, world.connections, customer_id=customer_id, provider=provider, settings=SETTINGS[provider],
            is_default=True, now=world.now,
        )  # fmt: skip
    return made.id


async def test_a_statement_that_is_due_is_open_until_it_is_final(world: World) -> None:
    customer = await world.customer()
    await world.contract(customer, None, starting_at=NOVEMBER, ending_before=NOON)
    aws = await default(world, customer, AWS)
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    world.sandbox.set_clock(JANUARY)
    with pytest.raises(InvalidState, match="Let it keep its way first"):
        await default(world, customer, "stripe")
    await world.finalize()
    await default(world, customer, "stripe")
    await world.sweep()
    assert await billed(world) == [("USAGE", aws, 1)]
    assert (world.sandbox.metered(AWS), world.sandbox.effects("stripe")) == (100, [])


async def test_another_default_moves_no_open_statement_to_a_marketplace_or_from_it(world: World) -> None:
    customer = await world.customer()
    contract = await world.contract(customer, None, starting_at=NOVEMBER)
    aws = await default(world, customer, AWS)  # A first default is no move.
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    assert world.sandbox.metered(AWS) == 100

    async def archive() -> None:
        async with world.store.transaction() as session:
            await archive_billing_configuration(session, world.connections, aws, now=world.now)

    for change in (lambda: default(world, customer, "stripe"), archive):
        with pytest.raises(InvalidState, match="Let it keep its way first") as refused:
            await change()
        assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
        assert to_text("contract", contract.id) in str(refused.value)
    # The remedy that is named: it keeps its way, and moves with its next statement.
    async with world.store.transaction() as session:
        await set_billing_configuration(session, world.connections, contract.id, aws, now=world.now)
    await update(world, contract.id, None, NEXT)
    stripe = await default(world, customer, "stripe")
    await world.use(200, at=DECEMBER)
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    with pytest.raises(InvalidState):
        await default(world, customer, AWS)
    await world.finalize()
    world.sandbox.set_clock(JANUARY + 2 * DAY)
    await world.finalize()
    await world.sweep()
    assert await billed(world) == [("USAGE", aws, 1), ("USAGE", stripe, 2)]
    assert world.sandbox.metered(AWS) == 100


async def update(world: World, contract_id: UUID, configuration_id: UUID | None, effective: EffectiveAt) -> None:
    async with world.store.transaction() as session:
        contract = await changeable_contract(session, contract_id)
        asked = RouteUpdate(configuration_id, effective)
        await update_route(session, world.connections, contract, asked, path=("update",), now=world.now)


async def sweep_for(world: World, hours: int) -> None:
    for _ in range(hours):
        await world.sweep()
        world.sandbox.move(hours=1)


async def fixed(world: World, *dates: tuple[datetime, str]) -> OwnTerms:
    """Charges of so many dollars, each on an invoice of its own."""
    async with world.store.transaction() as session:
        product = await create_product(session, name="Fee", type=ProductType.FIXED, now=world.now)
    items = [ScheduledItem(at, Decimal(amount), Decimal(1)) for at, amount in dates]
    return OwnTerms(fees=NewFees(charges=[NewCharge(product_id=product.id, items=items)]))


async def billed(world: World) -> list[tuple[str, UUID | None, Decimal]]:
    """The invoices by date: type, way and total."""
    found = sorted(await world.invoices(), key=lambda item: (item.starting_at, item.type))
    return [(item.type, item.billing_configuration_id, item.total) for item in found]


async def test_a_contract_that_leaves_a_marketplace_is_metered_there_to_the_end_of_its_period(world: World) -> None:
    """November at AWS, December at Stripe: late usage of November and what is dated in it goes to AWS; nothing after."""
    customer = await world.customer()
    aws, stripe = await world.configuration(customer, AWS), await world.configuration(customer, "stripe")
    fees = await fixed(world, (NOON + 18 * DAY, "5"), (DECEMBER, "7"))
    contract = await world.contract(customer, aws, starting_at=NOVEMBER, own_terms=fees)
    await world.use(300, at=NOON - HOUR)
    await sweep_for(world, 2)
    await update(world, contract.id, stripe, NEXT)
    world.sandbox.set_clock(DECEMBER + 6 * HOUR)
    await world.use(40, at=DECEMBER - HOUR)
    await world.use(1000, at=DECEMBER)
    await world.finalize()
    await sweep_for(world, 2)
    assert world.sandbox.metered(AWS) == 300 + 500 + 40
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await sweep_for(world, 2)
    world.sandbox.set_clock(JANUARY + 2 * DAY)
    await world.finalize()
    await sweep_for(world, 2)
    assert await billed(world) == [
        ("USAGE", aws, Decimal("3.40")), ("SCHEDULED", aws, 5), ("SCHEDULED", stripe, 7), ("USAGE", stripe, 10),
    ]  # fmt: skip
    assert world.sandbox.metered(AWS) == 840, "nothing of December"
    assert sorted(item["total"] for item in world.sandbox.effects("stripe")) == [700, 1000]
    assert Counter(item.status for item in await world.deliveries()) == {"DELIVERED": 4}
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls


async def test_a_contract_that_comes_to_a_marketplace_brings_nothing_of_before(world: World) -> None:
    """November at the customer's default, Stripe; December at AWS, though November is not final yet."""
    customer = await world.customer()
    aws = await world.configuration(customer, AWS)
    async with world.store.transaction() as session:
        default = await create_billing_configuration(
            session, world.connections, customer_id=customer, provider="stripe", settings=SETTINGS["stripe"],
            is_default=True, now=world.now,
        )  # fmt: skip
    contract = await world.contract(customer, None, starting_at=NOVEMBER)
    await world.use(300, at=NOON - HOUR)
    with pytest.raises(InvalidState) as refused:
        await update(world, contract.id, aws, CURRENT)
    assert (refused.value.code, refused.value.path) == (ErrorCode.ILLEGAL_TRANSITION, ("update", "effectiveAt"))
    await update(world, contract.id, aws, NEXT)
    await sweep_for(world, 1)
    world.sandbox.set_clock(DECEMBER + 6 * HOUR)
    await world.use(20, at=DECEMBER)
    await sweep_for(world, 1)
    assert world.sandbox.metered(AWS) == 20
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await sweep_for(world, 1)
    assert [item["total"] for item in world.sandbox.effects("stripe")] == [300]
    assert await billed(world) == [("USAGE", default.id, 3)]
    # Back to the default with the next period only.
    with pytest.raises(InvalidState):
        await update(world, contract.id, None, CURRENT)
    await update(world, contract.id, None, NEXT)


async def test_where_invoices_go_the_running_period_may_still_change(world: World) -> None:
    """October, in its grace, stays at Stripe; November goes by hand. What is void is made again for where it was."""
    contract = await world.account("stripe")
    manual = await world.configuration(contract.customer_id, "manual")
    stripe = contract.billing_configuration_id
    await world.use(100, at=NOVEMBER - HOUR)
    await update(world, contract.id, manual, CURRENT)
    await world.use(200, at=NOVEMBER)
    await world.finalize()
    await world.sweep()
    assert await billed(world) == [("USAGE", stripe, 1)]
    [october] = await world.invoices()
    async with world.store.transaction() as session:
        await void_invoice(session, october.id, reason="wrong", in_provider=True, now=world.now)
        await regenerate_invoice(session, october.id, now=world.now)
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await world.sweep()
    assert await billed(world) == [("USAGE", stripe, 1), ("USAGE", stripe, 1), ("USAGE", manual, 2)]
    assert Counter(item["status"] for item in world.sandbox.effects("stripe")) == {"void": 1, "open": 1}
    # Finalized invoices never move: a change back sends none of them again.
    await update(world, contract.id, stripe, CURRENT)
    calls = world.sandbox.calls()
    await world.sweep()
    assert world.sandbox.calls() == calls
