"""Hourly metering: whole cents of what is owed less what was sent, one slot an hour, and what becomes of slots.

The examples read like an account; a model in plain Python, walked at random, holds the same books beside them.
"""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID

import pytest
from sqlmodel import select

from app.catalog.products import create_product
from app.contracts.ending import archive_contract
from app.contracts.own_terms import OwnTerms
from app.contracts.tables import Contract
from app.core.grants import GateStatus, GrantType, PaymentGate
from app.core.rates import Tier, Tiered
from app.core.terms import ProductType
from app.customers.billing import archive_billing_configuration
from app.delivery.metering import REFUSAL_PAUSE, is_past_window, plan_slots, send_slots
from app.delivery.slot_actions import resolve_slot
from app.delivery.states import DeliveryStatus, SlotStatus
from app.errors import InvalidState
from app.grants.definitions import NewGrant, NewSegment
from app.invoices.drafts import rate
from app.invoices.open import open_statements
from app.invoices.purchase_run import bill_unpaid
from connectors.aws_marketplace import AwsMarketplaceConnector
from connectors.azure_marketplace import AzureMarketplaceConnector
from connectors.base import MeteringDocument, UsageRecord
from tests.delivery.test_thresholds import buy, gated, tell
from tests.delivery.world import ACTOR, HOUR, NO_BUYER, NOON, NOVEMBER, OCTOBER, SETTINGS, World

AWS, AZURE = "aws_marketplace", "azure_marketplace"
DAY = timedelta(days=1)
WALKS = 4 if os.environ.get("METROGRAPH_STRESS") else 2


async def sent(world: World) -> list[int]:
    """The quantities of the slots, by hour."""
    return [int(slot.quantity) for slot in await world.slots()]


@pytest.mark.parametrize(
    ("prices_of_each_hour", "cents_of_each_slot"),
    [
        (["0.009"], []),  # under a cent nothing is sent
        (["0.009", "0.002"], [1]),  # 0.011: the cent is sent, 0.001 waits
        (["0.019", "0.019", "0.002"], [1, 2, 1]),  # 0.019, 0.038, 0.040
        (["1.005", "0", "0.005"], [100, 1]),  # 1.00, nothing, 1.01
        (["12.34"], [1234]),
    ],
)
async def test_cents_are_cut_off_and_the_rest_waits(
    world: World, prices_of_each_hour: list[str], cents_of_each_slot: list[int]
) -> None:
    await world.account(AWS, price="1")
    for price in prices_of_each_hour:
        if Decimal(price):
            await world.use(price, at=world.now - timedelta(minutes=30))
        await world.sweep()
        world.sandbox.move(hours=1)
    assert await sent(world) == cents_of_each_slot


async def test_a_slot_stands_for_the_hour_before_and_is_taken_once(world: World) -> None:
    await world.account(AWS)
    await world.use(100, at=NOON - HOUR)
    world.sandbox.set_clock(NOON + timedelta(minutes=59))
    await world.sweep()
    await world.use(50, at=NOON)
    await world.sweep()
    assert [(slot.hour, int(slot.quantity)) for slot in await world.slots()] == [(NOON - HOUR, 100)]
    world.sandbox.set_clock(NOON + HOUR)
    await world.sweep()
    assert [(slot.hour, int(slot.quantity)) for slot in await world.slots()] == [(NOON - HOUR, 100), (NOON, 50)]


async def test_a_correction_downwards_sends_nothing_until_it_is_caught_up(world: World) -> None:
    """High-water mark: 1.00 sent, 0.60 taken back, 0.50 more used; only the last 0.10 above the mark is sent."""
    await world.account(AWS)
    for quantity, expected in ((100, [100]), (-60, [100]), (50, [100]), (20, [100, 10])):
        await world.use(quantity, at=world.now - timedelta(minutes=10))
        await world.sweep()
        assert await sent(world) == expected
        world.sandbox.move(hours=1)


async def test_late_usage_and_an_outage_ride_on_the_next_slot(world: World) -> None:
    await world.account(AZURE)
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    world.sandbox.move(hours=5)  # nobody metered meanwhile
    await world.use(7, at=NOON - 20 * HOUR)
    await world.use(30, at=NOON + HOUR)
    await world.sweep()
    assert await sent(world) == [100, 37]
    assert [slot.hour for slot in await world.slots()] == [NOON - HOUR, NOON + 4 * HOUR]


async def test_usage_that_comes_after_the_invoice_is_final_is_not_metered(world: World) -> None:
    await world.account(AWS)
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    await world.use(55, at=NOVEMBER - HOUR)
    world.sandbox.move(hours=1)
    await world.sweep()
    assert await sent(world) == [100]
    [delivery] = await world.deliveries()
    assert delivery.status == DeliveryStatus.DELIVERED


async def test_what_a_marketplace_counts_is_the_invoices_total_when_it_closes(world: World) -> None:
    """Thirds of a cent, hour by hour: the last cent comes with the rounding of the total."""
    await world.account(AWS, price="0.00333333")
    world.sandbox.set_clock(NOVEMBER - 6 * HOUR)
    for _ in range(6):
        await world.use(101, at=world.now - timedelta(minutes=1))
        await world.sweep()
        world.sandbox.move(hours=1)
    world.sandbox.set_clock(NOVEMBER + DAY)
    await world.finalize()
    await world.sweep()
    [invoice] = await world.invoices()
    assert invoice.subtotal == Decimal("2.01999798")
    assert invoice.total == Decimal("2.02")
    assert sum(await sent(world)) == world.sandbox.metered(AWS) == 202
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, Decimal("2.02"))


@pytest.mark.parametrize("provider", [AWS, AZURE])
async def test_a_true_up_is_never_metered(world: World, provider: str) -> None:
    """100.00 are committed, 0.30 used: the marketplace counts 30 cents, and the seller settles the 99.70 directly."""
    commit = NewGrant(type=GrantType.POSTPAID, segments=[NewSegment(Decimal(100), OCTOBER, NOVEMBER)])
    await world.account(provider, ending_before=NOVEMBER, own_terms=OwnTerms(grants=[commit]))
    world.sandbox.set_clock(NOVEMBER)
    await world.use(30, at=NOVEMBER - HOUR)
    await world.sweep()
    world.sandbox.set_clock(NOVEMBER + DAY)
    assert (await world.finalize()).finalized == 2
    for _ in range(2):
        await world.sweep()
        world.sandbox.move(hours=1)
    usage, true_up = await world.invoices()
    assert (usage.total, true_up.type, true_up.total) == (Decimal("0.30"), "TRUEUP", Decimal("99.70"))
    assert await sent(world) == [30]
    by_invoice = {delivery.invoice_id: delivery for delivery in await world.deliveries()}
    assert by_invoice[usage.id].status == DeliveryStatus.DELIVERED
    skipped = by_invoice[true_up.id]
    assert (skipped.status, skipped.error_code, skipped.acknowledged) == (DeliveryStatus.SKIPPED, "TRUEUP", 0)
    assert skipped.error_message is not None
    assert "settle it directly" in skipped.error_message


async def test_a_payment_that_the_caller_collects_is_not_metered(world: World) -> None:
    """A commit of 250.00 that waits for its payment elsewhere, before and after it was paid; 1.00 of usage is metered."""
    contract = await world.account(AWS, starting_at=NOVEMBER)
    async with world.store.transaction() as session:
        fee = (await create_product(session, name="Prepayment", type=ProductType.FIXED, now=world.now)).id
    grant_id = await buy(world, contract, gated(PaymentGate.EXTERNAL, contract, fee))
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    assert await bill_unpaid(world.store, actor=ACTOR, now=world.now) == 1
    for _ in range(2):
        world.sandbox.move(hours=1)
        await world.sweep()
    assert await sent(world) == [100]
    await tell(world, grant_id, GateStatus.PAID)
    world.sandbox.move(hours=1)
    await world.sweep()
    assert await sent(world) == [100], "what was metered stays; the commit pays for what follows"
    assert [item.error_code for item in await world.deliveries()] == ["PAID_ELSEWHERE"]


async def test_invoices_are_covered_in_the_order_in_which_they_are_due(world: World) -> None:
    customer_id = await world.customer()
    configuration_id = await world.configuration(customer_id, AWS)
    early = await world.contract(customer_id, configuration_id, price="1", grace_hours=1)
    late = await world.contract(customer_id, configuration_id, price="2", grace_hours=30)
    world.sandbox.set_clock(NOVEMBER)
    await world.use(10, at=NOVEMBER - HOUR)
    await world.sweep()
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    await world.finalize()
    await world.sweep()
    states = {item.contract_id: item for item in await world.invoices()}
    by_invoice = {item.invoice_id: item for item in await world.deliveries()}
    for contract, total in ((early, 10), (late, 20)):
        delivery = by_invoice[states[contract.id].id]
        assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, Decimal(total))
    assert await sent(world) == [3000], "both contracts of a configuration share its slots"


async def test_the_first_invoice_gets_what_there_is(world: World) -> None:
    """15 of 30 dollars were counted before the agreement ended: the earlier invoice has 10, the later 5."""
    customer_id = await world.customer()
    configuration_id = await world.configuration(customer_id, AWS)
    await world.contract(customer_id, configuration_id, price="1", grace_hours=1)
    await world.contract(customer_id, configuration_id, price="2", grace_hours=30)
    world.sandbox.set_clock(NOVEMBER)
    await world.use(5, at=NOVEMBER - HOUR)
    await world.sweep()
    await world.use(5, at=NOVEMBER - HOUR)
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    await world.finalize()
    world.sandbox.fault(AWS, "reject", times=None)
    await world.sweep()
    first, second = sorted(await world.deliveries(), key=lambda item: item.total)
    assert (first.status, first.acknowledged) == (DeliveryStatus.DELIVERED, Decimal(10))
    assert (second.status, second.acknowledged) == (DeliveryStatus.NEEDS_ATTENTION, Decimal(5))


@pytest.mark.parametrize("provider", [AWS, AZURE])
async def test_a_refused_slot_frees_its_amount_after_a_pause(world: World, provider: str) -> None:
    await world.account(provider, settings=NO_BUYER[provider])
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    [slot] = await world.slots()
    assert (slot.status, slot.attempts) == (SlotStatus.REFUSED, 1)
    assert slot.error_message
    for _ in range(5):
        world.sandbox.move(hours=1)
        await world.sweep()
    assert len(await world.slots()) == 1, "not tried blindly again"
    world.sandbox.set_clock(NOON + REFUSAL_PAUSE)
    await world.sweep()
    assert await sent(world) == [100, 100]
    assert world.sandbox.effects(provider) == []


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
async def test_a_lost_answer_counts_as_sent_until_it_is_known(world: World, kind: str) -> None:
    await world.account(AWS)
    await world.use(100, at=NOON - HOUR)
    world.sandbox.fault(AWS, kind, times=None)
    await world.sweep()
    await world.use(20, at=NOON)
    world.sandbox.move(hours=1)
    world.sandbox.reset("faults")
    await world.sweep()
    assert [(int(slot.quantity), slot.status) for slot in await world.slots()] == [
        (100, SlotStatus.ACCEPTED),
        (20, SlotStatus.ACCEPTED),
    ]
    assert world.sandbox.metered(AWS) == 120


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("drop_after", SlotStatus.NEEDS_ATTENTION),  # it may have been counted
        ("throttle_429", SlotStatus.REFUSED),  # it cannot have been
    ],
)
async def test_past_the_window_only_what_was_never_counted_is_owed_again(
    world: World, kind: str, expected: SlotStatus
) -> None:
    await world.account(AWS)
    await world.use(100, at=NOON - HOUR)
    world.sandbox.fault(AWS, kind, times=None)
    await world.sweep()
    world.sandbox.reset("faults")
    world.sandbox.set_clock(NOON + DAY)
    await world.sweep()
    first, *rest = await world.slots()
    assert first.status == expected
    assert first.error_code == "OUT_OF_WINDOW"
    world.sandbox.move(hours=1)
    await world.sweep()
    first, *rest = await world.slots()
    assert [(int(slot.quantity), slot.status) for slot in rest] == (
        [] if expected == SlotStatus.NEEDS_ATTENTION else [(100, SlotStatus.ACCEPTED)]
    )


async def test_a_slot_that_was_never_sent_in_time_is_owed_again(world: World) -> None:
    contract = await world.account(AWS)
    await world.use(100, at=NOON - HOUR)
    async with world.store.transaction() as session:
        assert contract.billing_configuration_id is not None
        assert await plan_slots(session, world.connections, [contract.billing_configuration_id], now=NOON)
    world.sandbox.set_clock(NOON + DAY)
    await world.sweep()  # the worker was down for a day
    world.sandbox.move(hours=1)
    await world.sweep()
    assert [slot.status for slot in await world.slots()] == [SlotStatus.REFUSED, SlotStatus.ACCEPTED]
    assert world.sandbox.metered(AWS) == 100


async def lost(world: World) -> UUID:
    """A slot of one dollar whose answer was lost and whose window has passed; its invoice is final."""
    await world.account(AWS)
    world.sandbox.set_clock(NOVEMBER)
    await world.use(100, at=NOVEMBER - HOUR)
    world.sandbox.fault(AWS, "drop_before", times=None)
    await world.sweep()
    world.sandbox.reset("faults")
    world.sandbox.set_clock(NOON)
    await world.finalize()
    await world.sweep()
    [slot] = await world.slots()
    [delivery] = await world.deliveries()
    assert (slot.status, delivery.status) == (SlotStatus.NEEDS_ATTENTION, DeliveryStatus.NEEDS_ATTENTION)
    assert delivery.error_code == "OUT_OF_WINDOW"
    assert delivery.error_hint == "Look at the provider whether 100 units of it were counted, then resolve the slot."
    return slot.id


async def test_somebody_found_that_the_lost_slot_was_counted(world: World) -> None:
    slot_id = await lost(world)
    async with world.store.transaction() as session:
        await resolve_slot(session, slot_id, was_counted=True, reason="in the seller's report", now=world.now)
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, Decimal(1))
    world.sandbox.move(hours=1)
    await world.sweep()
    assert len(await world.slots()) == 1
    async with world.store.transaction() as session:
        with pytest.raises(InvalidState):
            await resolve_slot(session, slot_id, was_counted=False, reason="no", now=world.now)


async def test_somebody_found_that_the_lost_slot_was_not_counted(world: World) -> None:
    slot_id = await lost(world)
    async with world.store.transaction() as session:
        await resolve_slot(session, slot_id, was_counted=False, reason="not in the report", now=world.now)
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, Decimal(1))
    assert world.sandbox.metered(AWS) == 100


async def test_two_configurations_of_one_buyer_share_its_hours(world: World) -> None:
    """The marketplace has one slot for a buyer's hour; a second quantity would be refused, or taken for the first."""
    await world.account(AWS)
    await world.account(AWS, name="twin", settings=SETTINGS[AWS])
    for customer in ("acme", "twin"):
        await world.use(40, at=NOON - HOUR, customer=customer)
    await world.sweep()
    assert await sent(world) == [40]
    world.sandbox.move(hours=1)
    await world.sweep()
    assert await sent(world) == [40, 40]
    assert world.sandbox.metered(AWS) == 80


async def test_another_quantity_in_our_hour_waits_for_somebody(world: World) -> None:
    """Something else metered this hour for the same buyer: the marketplace keeps the first."""
    await world.account(AWS)
    await world.use(100, at=NOON - HOUR)
    foreign = UsageRecord(
        reference="x", customer=SETTINGS[AWS], dimension="usage_fee", hour=NOON - HOUR, quantity=Decimal(7)
    )
    connection = world.connections.find("aws-sandbox")
    assert connection is not None
    await connection.connector.deliver(MeteringDocument((foreign,)), "x")
    await world.sweep()
    [slot] = await world.slots()
    assert (slot.status, slot.error_code) == (SlotStatus.NEEDS_ATTENTION, "DuplicateRecord")
    assert world.sandbox.metered(AWS) == 7


async def test_an_archived_configuration_is_metered_until_its_invoices_are_covered(world: World) -> None:
    contract = await world.account(AWS)
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    async with world.store.transaction() as session:
        assert contract.billing_configuration_id is not None
        await archive_contract(session, contract.id, now=world.now)
        await archive_billing_configuration(
            session, world.connections, contract.billing_configuration_id, now=world.now
        )
    await world.sweep()
    [delivery] = await world.deliveries()
    assert delivery.status == DeliveryStatus.DELIVERED
    assert world.sandbox.metered(AWS) == 100


@pytest.mark.parametrize(
    ("connector", "hour", "now", "is_past"),
    [
        (AwsMarketplaceConnector, "2026-10-20T11:00", "2026-10-21T10:59", False),
        (AwsMarketplaceConnector, "2026-10-20T11:00", "2026-10-21T11:00", True),
        (AwsMarketplaceConnector, "2026-10-31T23:00", "2026-11-01T05:59", False),
        (AwsMarketplaceConnector, "2026-10-31T23:00", "2026-11-01T06:00", True),  # October is closed
        (AwsMarketplaceConnector, "2026-11-01T00:00", "2026-11-01T06:00", False),
        (AwsMarketplaceConnector, "2026-12-31T23:00", "2027-01-01T06:00", True),
        (AzureMarketplaceConnector, "2026-10-31T23:00", "2026-11-01T06:00", False),
        (AzureMarketplaceConnector, "2026-10-31T23:00", "2026-11-01T23:00", True),
    ],
)
def test_windows(
    connector: type[AwsMarketplaceConnector] | type[AzureMarketplaceConnector], hour: str, now: str, is_past: bool
) -> None:
    instants = [datetime.fromisoformat(f"{text}:00+00:00") for text in (hour, now)]
    assert is_past_window(connector.capabilities, instants[0], now=instants[1]) is is_past


async def test_usage_of_the_last_hour_after_the_months_cut_off(world: World) -> None:
    """AWS closes October at 06:00 on the first: what was not sent by then rides on a slot of November."""
    await world.account(AWS)
    world.sandbox.set_clock(NOVEMBER)
    await world.use(100, at=NOVEMBER - HOUR)
    world.sandbox.fault(AWS, "throttle_429", times=None)
    await world.sweep()
    world.sandbox.reset("faults")
    world.sandbox.set_clock(NOVEMBER + 6 * HOUR)
    await world.sweep()
    world.sandbox.move(hours=1)
    await world.sweep()
    assert [(slot.hour, slot.status) for slot in await world.slots()] == [
        (NOVEMBER - HOUR, SlotStatus.REFUSED),
        (NOVEMBER + 6 * HOUR, SlotStatus.ACCEPTED),
    ]
    assert world.sandbox.metered(AWS) == 100


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(WALKS))
async def test_a_walk_beside_a_model(world: World, seed: int) -> None:
    """Ten days of usage, corrections, faults and pauses. What the marketplace counts never exceeds what was owed at its
    highest, all of it arrives in the end, and no hour has two quantities."""
    rng = random.Random(seed)
    provider = rng.choice([AWS, AZURE])
    price = rng.choice(["0.01", "0.0037", "1.115"])
    tiers = Tiered((Tier(Decimal(40), Decimal(price)), Tier(None, Decimal("0.0021"))))
    await world.account(provider, price=tiers if rng.random() < 0.3 else price, starting_at=OCTOBER)
    world.sandbox.set_clock(NOVEMBER - 5 * DAY)
    highest = 0
    for _ in range(24):
        for _ in range(rng.randrange(3)):
            quantity = rng.choice([1, 3, 17, 250, Decimal("0.4"), -2])
            await world.use(str(quantity), at=world.now - rng.randrange(1, 90) * timedelta(minutes=1))
        if rng.random() < 0.25:
            kind = rng.choice(["refuse_500", "throttle_429", "drop_before", "drop_after", "html_200"])
            world.sandbox.fault(provider, kind, times=rng.randrange(1, 4))
        highest = max(highest, await owed_cents(world))
        await world.sweep()
        assert world.sandbox.metered(provider) <= highest
        world.sandbox.move(hours=rng.choice([0, 1, 1, 1, 2, 7]))
    world.sandbox.reset("faults")
    world.sandbox.set_clock(max(world.now, NOVEMBER + DAY))
    await world.finalize()
    for _ in range(3):
        await world.sweep()
        world.sandbox.move(hours=1)
    highest = max(highest, await owed_cents(world))
    owed = await owed_cents(world)
    waiting = sum(int(slot.quantity) for slot in await world.slots() if slot.status == SlotStatus.NEEDS_ATTENTION)
    counted = world.sandbox.metered(provider)
    assert counted + waiting >= owed, "nothing is lost in silence"
    assert counted <= highest
    if not waiting:
        assert {item.status for item in await world.deliveries()} == {DeliveryStatus.DELIVERED}
    hours = [slot["hour"] for slot in world.sandbox.effects(provider)]
    assert len(set(hours)) == len(hours)


async def owed_cents(world: World) -> int:
    """Whole cents of the open statement and the final invoices, from the lines alone."""
    async with world.store.transaction() as session:
        contracts = list((await session.execute(select(Contract))).scalars())
        drafts = [await rate(session, item) for item in await open_statements(session, contracts, now=world.now)]
    owed = sum((item.draft.subtotal for item in drafts), Decimal(0))
    owed += sum((invoice.total for invoice in await world.invoices()), Decimal(0))
    return int((owed * 100).to_integral_value(rounding=ROUND_FLOOR))


async def test_whoever_gets_a_lost_answer_settles_what_it_covers(world: World) -> None:
    """The hourly run may find another worker at the account; the invoice must not wait an hour for the next one."""
    await world.account(AWS)
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    world.sandbox.fault(AWS, "drop_after", times=None)
    await world.sweep()
    world.sandbox.reset("faults")
    done = await send_slots(world.store, world.connections, "aws-sandbox", clock=world.sandbox.now)
    assert (done.slots, done.delivered) == (1, 1)
    [delivery] = await world.deliveries()
    assert delivery.status == DeliveryStatus.DELIVERED
