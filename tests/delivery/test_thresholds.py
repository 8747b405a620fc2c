"""Threshold billing and payments that are awaited: bought once, billed alone, used when paid, taken back when not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.catalog.products import create_product
from app.catalog.tables import PricingUnit, RateCard
from app.commands.checking import RULES
from app.contracts.hierarchies import NewChild
from app.contracts.own_terms import OwnTerms
from app.contracts.tables import Contract, ThresholdRow
from app.contracts.threshold_rules import NewThreshold
from app.contracts.thresholds import remove_threshold, set_threshold
from app.core.fees import ScheduledItem
from app.core.grants import GateStatus, GrantType, PaymentGate
from app.core.hierarchy import ChildAccess, Sharing
from app.core.ledger import GrantStatus, balance_at, status_at
from app.core.period import Period
from app.core.terms import ProductType
from app.core.thresholds import ThresholdKind
from app.delivery import inbound, payments
from app.delivery.payments import settle_payments
from app.delivery.tables import Delivery
from app.errors import BillingError, ErrorCode, InvalidState
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule
from app.grants.gates import PAYMENTS_JOB
from app.grants.reading import StoredGrant, grants_of_customer
from app.grants.service import create_grant, insert_grants
from app.grants.tables import GrantRow
from app.invoices import threshold_run
from app.invoices.balance_books import unbalanced
from app.invoices.balances import Books
from app.invoices.ending import archive
from app.invoices.finding import open_of_customers
from app.invoices.gates import bill_purchase, release_by_caller
from app.invoices.importing import HistoricalInvoice, import_invoices
from app.invoices.purchase_run import bill_unpaid
from app.invoices.regenerating import regenerate_invoice
from app.invoices.service import finalize_invoice
from app.invoices.tables import InvoiceVoid
from app.invoices.voiding import void_invoice
from app.worker import NOTICE_HANDLERS, working
from connectors.base import Notification
from tests.delivery.test_jobs import ask, runtime_of, until
from tests.delivery.world import ACTOR, HOUR, NOON, NOVEMBER, OCTOBER, World

DAY = 24 * HOUR
DECEMBER = datetime.fromisoformat("2026-12-01T00:00:00+00:00")


@pytest.fixture
async def fee(world: World) -> UUID:
    """The product as which commits are sold."""
    async with world.store.transaction() as session:
        made = await create_product(session, name="Usage so far", type=ProductType.FIXED, now=world.now)
        return made.id


def spend(fee: UUID, amount: str = "100", **parts: Any) -> NewThreshold:
    return NewThreshold(kind=ThresholdKind.SPEND, amount=Decimal(amount), product_id=fee, **parts)


def topped_up(fee: UUID) -> NewThreshold:
    """Below 50 back to 500."""
    return NewThreshold(
        kind=ThresholdKind.BALANCE, amount=Decimal(50), recharge_to=Decimal(500), product_id=fee, access_months=3
    )


async def watch(world: World, contract: Contract, entry: NewThreshold) -> None:
    async with world.store.transaction() as session:
        await set_threshold(session, world.connections, contract.id, entry, now=world.now)


async def look(world: World, contract: Contract) -> int:
    """What the job does that follows usage; how many commits it bought."""
    return await threshold_run.evaluate(world.store, world.connections, contract.id, actor=ACTOR, now=world.now)


async def grants(world: World, contract: Contract) -> list[StoredGrant]:
    async with world.store.transaction() as session:
        return await grants_of_customer(session, contract.customer_id)


async def left(world: World, contract: Contract) -> list[tuple[GrantStatus, Decimal]]:
    """Status and balance of each commit or credit, draws of drafts left out."""
    return [
        (status_at(item.grant, at=world.now), balance_at(item.grant, item.movements, at=world.now))
        for item in await grants(world, contract)
    ]


async def draft_totals(world: World, contract: Contract) -> dict[datetime, Decimal]:
    """What the open statements ask for, by start."""
    async with world.store.transaction() as session:
        books = Books(session, now=world.now)
        found = await open_of_customers(session, [contract.customer_id], now=world.now)
        return {item.period.starting_at: (await books.rate(item)).draft.subtotal for item in found}


async def threshold(world: World, contract: Contract) -> ThresholdRow:
    async with world.store.transaction() as session:
        rows = await session.execute(select(ThresholdRow).where(col(ThresholdRow.removed_at).is_(None)))
        return rows.scalar_one()


async def tell(world: World, grant_id: UUID, outcome: GateStatus, reason: str = "") -> GrantRow:
    async with world.store.transaction() as session:
        return await release_by_caller(session, grant_id, outcome, reason=reason, now=world.now)


async def assert_sound(world: World) -> None:
    async with world.store.transaction() as session:
        counts = {rule: (await session.execute(text(query))).scalar_one() for rule, (_, query) in RULES.items()}
        _, wrong = await unbalanced(session, now=world.now)
    assert ([rule for rule, count in counts.items() if count], wrong) == ([], [])


async def test_spend_is_billed_as_it_reaches_the_threshold(world: World, fee: UUID) -> None:
    """At 1 USD each and a threshold of 100: 99.5 buys nothing, 120.5 a commit of 120.50, and 100 more the next one.

    What the month comes to was billed by then: its statement asks for what was used since.
    """
    contract = await world.account("stripe", price="1")
    await watch(world, contract, spend(fee, name="Usage so far"))
    await world.use("99.5", at=NOVEMBER + HOUR)
    assert await look(world, contract) == 0
    await world.use(21, at=NOVEMBER + 2 * HOUR)
    assert [await look(world, contract) for _ in range(2)] == [1, 0], "what is paid for is not bought again"
    [bought] = await grants(world, contract)
    [segment] = bought.grant.segments
    assert (segment.amount, segment.period.starting_at, segment.period.ending_before) == (
        Decimal("120.5"), NOVEMBER, DECEMBER,
    )  # fmt: skip
    [invoice] = await world.invoices()
    assert (invoice.type, invoice.total, invoice.issued_at, invoice.purchase_of) == (
        "SCHEDULED", Decimal("120.5"), NOON, bought.row.id,
    )  # fmt: skip
    assert (await draft_totals(world, contract))[NOVEMBER] == 0
    world.sandbox.move(days=10)
    await world.use(100, at=NOVEMBER + 11 * DAY)
    assert (await draft_totals(world, contract))[NOVEMBER] == 100
    assert await look(world, contract) == 1
    await world.use(7, at=NOVEMBER + 11 * DAY)
    assert (await draft_totals(world, contract))[NOVEMBER] == 7
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    assert (await world.finalize()).failures == []
    assert [(item.type, item.total) for item in await world.invoices()] == [
        ("SCHEDULED", Decimal("120.5")), ("SCHEDULED", 100), ("USAGE", 0), ("USAGE", 7),
    ]  # fmt: skip
    await world.sweep()
    assert {delivery.status for delivery in await world.deliveries()} == {"DELIVERED"}
    await assert_sound(world)


async def test_usage_wakes_what_waits_for_it(world: World, fee: UUID) -> None:
    """New usage of a customer that watches a threshold is noted with its batch, and looked at; that of others is not."""
    contract = await world.account("stripe", price="1")
    other = await world.account("stripe", name="other", price="1")
    await watch(world, contract, spend(fee))
    await world.use(500, at=NOVEMBER + HOUR, customer="other")

    async def touched() -> int:
        return await threshold_run.evaluate_touched(world.store, world.connections, actor=ACTOR, now=world.now)

    assert await touched() == 0
    await world.use(60, at=NOVEMBER + HOUR)
    assert await touched() == 0
    await world.use(60, at=NOVEMBER + HOUR)
    assert [await touched() for _ in range(2)] == [1, 0]
    assert (len(await grants(world, contract)), len(await grants(world, other))) == (1, 0)


async def test_usage_of_a_child_wakes_what_watches_the_balance_of_its_parent(world: World, fee: UUID) -> None:
    parent = await world.account("stripe", price="1")
    terms = OwnTerms(hierarchy=NewChild(parent.customer_id, parent.id))
    child = await world.contract(await world.customer("child"), None, price="1", starting_at=NOVEMBER, own_terms=terms)
    async with world.store.transaction() as session:
        entry = NewGrant(
            type=GrantType.CREDIT, segments=[NewSegment(Decimal(100), NOVEMBER, DECEMBER)], priority=Decimal(1),
            product_id=fee, unit="USD", sharing=Sharing(ChildAccess.ALL),
        )  # fmt: skip
        await insert_grants(session, parent, [entry], path=("input",), now=world.now)
    await watch(world, parent, topped_up(fee))
    await watch(world, child, spend(fee, "1000"))
    await world.use(60, at=NOVEMBER + HOUR, customer="child")
    assert await threshold_run.evaluate_touched(world.store, world.connections, actor=ACTOR, now=world.now) == 1
    assert [item.grant.segments[0].amount for item in await grants(world, parent)] == [Decimal(100), Decimal(460)]


async def test_however_many_look_at_it_one_commit_is_bought(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    await watch(world, contract, spend(fee))
    await world.use(150, at=NOVEMBER + HOUR)
    bought = await asyncio.gather(*(look(world, contract) for _ in range(8)))
    assert sum(bought) == 1
    assert [invoice.total for invoice in await world.invoices()] == [150]


@pytest.mark.parametrize(("held", "bought"), [("50.01", None), ("50", "450"), ("20", "480")])
async def test_a_balance_is_topped_up(world: World, fee: UUID, held: str, bought: str | None) -> None:
    """Threshold 50, back to 500. A credit of October does not count, and neither does what one seat may use."""
    contract = await world.account("stripe", price="1")
    async with world.store.transaction() as session:
        for amount, start, end in (("70", OCTOBER, NOVEMBER), (held, NOVEMBER, DECEMBER)):
            entry = NewGrant(
                type=GrantType.CREDIT, segments=[NewSegment(Decimal(amount), start, end)], priority=Decimal(1)
            )
            await create_grant(session, contract.customer_id, entry, now=world.now)
    await watch(world, contract, topped_up(fee))
    assert await look(world, contract) == (0 if bought is None else 1)
    if bought is None:
        return
    [*_, made] = await grants(world, contract)
    [segment] = made.grant.segments
    assert (segment.amount, segment.period.starting_at) == (Decimal(bought), NOON)
    assert segment.period.ending_before == datetime.fromisoformat("2027-02-02T12:00:00+00:00")
    assert [invoice.total for invoice in await world.invoices()] == [Decimal(bought)]
    assert await look(world, contract) == 0
    # Drafts have drawn: what is used counts at once, and the purchase pays from this hour on.
    await world.use(480, at=NOON)
    assert await look(world, contract) == 1
    await assert_sound(world)


async def test_a_balance_in_tokens_is_paid_in_dollars(world: World, fee: UUID) -> None:
    """A token is 0.10 USD, the threshold 50 and the target 500: with 50 left, 450 tokens are bought for 45.00 USD."""
    contract = await world.account("stripe", price="1")
    async with world.store.transaction() as session:
        session.add(PricingUnit(created_at=world.now, name="Tokens", code="TOKENS"))
        card = await session.get_one(RateCard, contract.rate_card_id)
        card.conversions = {"TOKENS": "0.1"}
        held = NewGrant(
            type=GrantType.CREDIT, unit="TOKENS", priority=Decimal(1),
            segments=[NewSegment(Decimal(50), NOVEMBER, DECEMBER)],
        )  # fmt: skip
        await session.flush()
        await create_grant(session, contract.customer_id, held, now=world.now)
    entry = NewThreshold(
        kind=ThresholdKind.BALANCE, amount=Decimal(50), recharge_to=Decimal(500), unit="TOKENS", product_id=fee
    )
    await watch(world, contract, entry)
    assert [await look(world, contract) for _ in range(2)] == [1, 0]
    [_, bought] = await grants(world, contract)
    assert (bought.grant.unit, bought.grant.segments[0].amount) == ("TOKENS", 450)
    [invoice] = await world.invoices()
    assert (invoice.currency, invoice.total) == ("USD", 45)
    await assert_sound(world)


@pytest.mark.parametrize(
    "fault",
    [
        "update grants set gate_outcome = 'FAILED' where gate_outcome = 'PAID'",
        "update grants set gate_outcome = null",
        "update grants set gate_settled_at = gate_settled_at + interval '40 days'",
    ],
)
async def test_a_fault_in_what_is_awaited_is_found(world: World, fee: UUID, fault: str) -> None:
    contract = await world.account("stripe", price="1")
    await watch(world, contract, spend(fee, gate=PaymentGate.EXTERNAL))
    await world.use(120, at=NOVEMBER + HOUR)
    await look(world, contract)
    [pending] = await grants(world, contract)
    await tell(world, pending.row.id, GateStatus.PAID)
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await assert_sound(world)
    async with world.store.transaction() as session:
        await session.execute(text(fault))
    with pytest.raises(AssertionError, match=r"paid|payment"):
        await assert_sound(world)


async def test_an_awaited_payment_lets_nothing_be_used(world: World, fee: UUID) -> None:
    """Collected by the caller: the commit is PENDING, nothing goes to Stripe, the statement waits; paid, it covers it."""
    contract = await world.account("stripe", price="1", ending_before=DECEMBER)
    await watch(world, contract, spend(fee, gate=PaymentGate.EXTERNAL))
    await world.use(120, at=NOVEMBER + HOUR)
    assert await look(world, contract) == 1
    assert await left(world, contract) == [(GrantStatus.PENDING, Decimal(0))]
    assert (await draft_totals(world, contract))[NOVEMBER] == 120
    await world.use(120, at=NOVEMBER + HOUR)
    assert await look(world, contract) == 0, "one purchase at a time"
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == ("SKIPPED", "PAID_ELSEWHERE")
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    assert [item.type for item in await world.invoices()] == ["SCHEDULED"]
    await world.finalize()
    assert [(item.type, item.total) for item in await world.invoices()] == [("SCHEDULED", 120), ("USAGE", 0)]
    async with world.store.transaction() as session:
        [waiting] = await open_of_customers(session, [contract.customer_id], now=world.now)
    with pytest.raises(InvalidState) as refused:
        async with world.store.transaction() as session:
            await finalize_invoice(session, waiting.id, now=world.now)
    assert (refused.value.code, "waits for its payment" in refused.value.message) == (ErrorCode.NOT_DUE, True)
    with pytest.raises(InvalidState) as refused:
        async with world.store.transaction() as session:
            wanted = HistoricalInvoice(contract.id, Period(NOVEMBER, DECEMBER), [])
            await import_invoices(session, [wanted], now=world.now)
    assert refused.value.code == ErrorCode.NOT_DUE
    [pending] = await grants(world, contract)
    for _ in range(2):
        paid = await tell(world, pending.row.id, GateStatus.PAID, "bank transfer 77")
    assert (paid.gate_outcome, paid.gate_reason, paid.gate_settled_at) == ("PAID", "bank transfer 77", world.now)
    with pytest.raises(InvalidState) as refused:
        await tell(world, pending.row.id, GateStatus.FAILED)
    assert refused.value.code == ErrorCode.ILLEGAL_TRANSITION
    await world.finalize()
    assert [(item.type, item.total) for item in await world.invoices()] == [
        ("SCHEDULED", 120), ("USAGE", 0), ("USAGE", 120),
    ]  # fmt: skip
    await assert_sound(world)


async def test_a_failed_payment_voids_its_invoice_and_stops_the_threshold(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    entry = spend(fee, gate=PaymentGate.EXTERNAL)
    await watch(world, contract, entry)
    await world.use(120, at=NOVEMBER + HOUR)
    await look(world, contract)
    [pending] = await grants(world, contract)
    await tell(world, pending.row.id, GateStatus.FAILED, "card expired")
    assert await left(world, contract) == [(GrantStatus.VOIDED, Decimal(0))]
    stopped = await threshold(world, contract)
    assert (stopped.is_enabled, stopped.stopped_because) == (False, "card expired")
    [invoice] = await world.invoices()
    async with world.store.transaction() as session:
        void = await session.get_one(InvoiceVoid, invoice.id)
    assert void.reason == "The payment failed: card expired"
    assert await look(world, contract) == 0, "no retry by itself"
    with pytest.raises(InvalidState) as refused:
        async with world.store.transaction() as session:
            await regenerate_invoice(session, invoice.id, now=world.now)
    assert refused.value.code == ErrorCode.NOTHING_TO_REGENERATE
    assert (await draft_totals(world, contract))[NOVEMBER] == 120, "the statement asks for it"
    world.sandbox.move(hours=1)
    await watch(world, contract, entry)
    assert await look(world, contract) == 1, "enabling it tries again"
    assert (await threshold(world, contract)).stopped_because is None
    await assert_sound(world)


@pytest.mark.parametrize("by_notice", [True, False], ids=["told by a notice", "asked for"])
@pytest.mark.parametrize("is_paid", [True, False])
async def test_stripe_tells_what_became_of_a_payment(world: World, fee: UUID, is_paid: bool, by_notice: bool) -> None:
    """Charged at once, however the customer's other invoices are collected; then asked for until it is paid or has failed."""
    settings = {"stripeCustomerId": "cus_Acme", "collectionMethod": "send_invoice", "daysUntilDue": "30"}
    contract = await world.account("stripe", price="1", settings=settings)
    await watch(world, contract, spend(fee, gate=PaymentGate.STRIPE))
    await world.use(120, at=NOVEMBER + HOUR)
    await look(world, contract)

    async def asked() -> int:
        return await settle_payments(world.store, world.connections, actor=ACTOR, clock=world.sandbox.now)

    assert await asked() == 0, "not there yet"
    await world.sweep()
    [sent] = world.sandbox.effects("stripe")
    [delivery] = await world.deliveries()
    assert (sent["collection_method"], delivery.status) == ("charge_automatically", "DELIVERED")
    assert await asked() == 0, "not tried yet"
    form = {} if is_paid else {"payment_method": "pm_card_chargeDeclined"}
    answer = world.sandbox.http.post(
        f"/v1/invoices/{delivery.provider_reference}/pay", data=form, headers={"authorization": "Bearer sk_test_1"}
    )
    assert answer.status_code == (200 if is_paid else 402)
    if by_notice:
        await told(world, str(delivery.provider_reference))
        assert await asked() == 0
    else:
        world.sandbox.fault("stripe", "refuse_500", match="invoices.retrieve")
        assert [await asked() for _ in range(3)] == [0, 1, 0]
    [item] = await grants(world, contract)
    await world.sweep()
    [sent] = world.sandbox.effects("stripe")
    assert (item.row.gate_outcome, sent["status"]) == (("PAID", "paid") if is_paid else ("FAILED", "void"))
    assert (await threshold(world, contract)).is_enabled is is_paid
    assert (await draft_totals(world, contract))[NOVEMBER] == (0 if is_paid else 120)
    await assert_sound(world)


async def test_a_payment_below_the_minimum_charge_is_not_skipped(world: World, fee: UUID) -> None:
    """The customer's other invoices of that size are; nobody would ever tell that this one was paid."""
    contract = await world.account("stripe", settings={"stripeCustomerId": "cus_Acme", "skipZero": "true"})
    entry = gated(PaymentGate.STRIPE, contract, fee)
    small = PaymentSchedule((ScheduledItem(NOON, Decimal("0.30"), Decimal(1)),))
    await buy(world, contract, replace(entry, payment=small))
    await bill_unpaid(world.store, actor=ACTOR, now=world.now)
    await world.sweep()
    [sent] = world.sandbox.effects("stripe")
    assert sent["total"] == 30


async def test_payments_that_wait_for_long_hide_none_that_was_made(
    world: World, fee: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "LIMIT", 1)
    contract = await world.account("stripe", price="1")
    for _ in range(2):
        await buy(world, contract, gated(PaymentGate.STRIPE, contract, fee))
    await bill_unpaid(world.store, actor=ACTOR, now=world.now)
    await world.sweep()
    last = (await world.invoices())[-1]
    made = next(item.provider_reference for item in await world.deliveries() if item.invoice_id == last.id)
    headers = {"authorization": "Bearer sk_test_1"}
    assert world.sandbox.http.post(f"/v1/invoices/{made}/pay", headers=headers).is_success
    asked = [
        await settle_payments(world.store, world.connections, actor=ACTOR, clock=world.sandbox.now) for _ in range(30)
    ]
    assert sum(asked) == 1


async def told(world: World, reference: str) -> None:
    """Two notices about an invoice at Stripe, and what follows from them."""
    connection = world.connections.find("stripe-sandbox")
    assert connection is not None
    async with world.store.transaction() as session:
        for number in (1, 2):
            notice = Notification(
                event_id=f"evt_{number}", kind="invoice.updated", occurred_at=world.now, provider_reference=reference
            )
            await inbound.receive(session, connection, notice, way=inbound.Way.WEBHOOK, now=world.now)
    place = inbound.Place(world.store, world.connections, world.sandbox.now)
    assert await inbound.handle_all(place, NOTICE_HANDLERS) == 2


def gated(gate: PaymentGate, contract: Contract, fee: UUID, *, at: datetime = NOON) -> NewGrant:
    """A commit of 300 for which 250 are paid."""
    return NewGrant(
        type=GrantType.PREPAID, segments=[NewSegment(Decimal(300), NOVEMBER, DECEMBER)], product_id=fee,
        priority=Decimal(1), invoice_contract_id=contract.id, gate=gate,
        payment=PaymentSchedule((ScheduledItem(at, Decimal(250), Decimal(1)),)),
    )  # fmt: skip


async def buy(world: World, contract: Contract, entry: NewGrant) -> UUID:
    async with world.store.transaction() as session:
        return (await create_grant(session, contract.customer_id, entry, now=world.now)).id


async def test_a_single_commit_may_wait_for_its_payment(world: World, fee: UUID) -> None:
    """Billed alone when its payment is due, also beside another of the same instant; used once it is paid."""
    contract = await world.account("stripe", price="1")
    later = world.now + timedelta(hours=2)
    first = await buy(world, contract, gated(PaymentGate.EXTERNAL, contract, fee))
    second = await buy(world, contract, gated(PaymentGate.EXTERNAL, contract, fee))
    third = await buy(world, contract, gated(PaymentGate.EXTERNAL, contract, fee, at=later))
    assert [await bill_unpaid(world.store, actor=ACTOR, now=world.now) for _ in range(2)] == [2, 0]
    invoices = await world.invoices()
    assert {(item.purchase_of, item.total) for item in invoices} == {(first, 250), (second, 250)}
    world.sandbox.set_clock(later)
    assert await bill_unpaid(world.store, actor=ACTOR, now=world.now) == 1
    await tell(world, first, GateStatus.PAID)
    await tell(world, third, GateStatus.PAID)
    await world.use(350, at=NOVEMBER + HOUR)
    assert (await draft_totals(world, contract))[NOVEMBER] == 0
    assert await left(world, contract) == [
        (GrantStatus.ACTIVE, 300), (GrantStatus.PENDING, 0), (GrantStatus.ACTIVE, 300),
    ]  # fmt: skip
    await assert_sound(world)


async def test_voiding_its_invoice_lets_a_payment_fail(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    grant_id = await buy(world, contract, gated(PaymentGate.STRIPE, contract, fee))
    async with world.store.transaction() as session:
        invoice = await bill_purchase(session, grant_id, now=world.now)
        assert invoice is not None
        await void_invoice(session, invoice.id, reason="wrong", now=world.now)
    assert await left(world, contract) == [(GrantStatus.VOIDED, Decimal(0))]
    with pytest.raises(InvalidState) as refused:
        await tell(world, grant_id, GateStatus.PAID)
    assert refused.value.code == ErrorCode.ILLEGAL_TRANSITION
    await assert_sound(world)


async def test_a_payment_that_fails_before_it_was_billed_is_never_billed(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    later = world.now + timedelta(days=1)
    grant_id = await buy(world, contract, gated(PaymentGate.EXTERNAL, contract, fee, at=later))
    await tell(world, grant_id, GateStatus.FAILED)
    world.sandbox.set_clock(later)
    assert await bill_unpaid(world.store, actor=ACTOR, now=world.now) == 0
    assert (await world.finalize()).failures == []
    assert [item.type for item in await world.invoices()] == ["USAGE"]
    await assert_sound(world)


async def test_an_archived_contract_waits_for_no_payment(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    await watch(world, contract, spend(fee, gate=PaymentGate.STRIPE))
    await world.use(120, at=NOVEMBER + HOUR)
    await look(world, contract)
    await world.sweep()
    async with world.store.transaction() as session:
        await archive(session, contract.id, void_invoices=False, now=world.now)
    await world.sweep()
    [sent] = world.sandbox.effects("stripe")
    assert sent["status"] == "void"
    assert await look(world, contract) == 0
    await assert_sound(world)


async def test_what_a_threshold_asks_of_the_provider(world: World, fee: UUID) -> None:
    """No purchase through a marketplace; a payment at Stripe needs Stripe; neither can be got round by moving the contract."""
    metered = await world.account("aws_marketplace", name="cloud")
    with pytest.raises(BillingError) as refused:
        await watch(world, metered, spend(fee))
    assert (refused.value.code, "remove" in refused.value.message) == (ErrorCode.ILLEGAL_TRANSITION, True)
    customer_id = await world.customer("direct")
    alone = await world.contract(customer_id, None)
    with pytest.raises(BillingError) as refused:
        await watch(world, alone, spend(fee, gate=PaymentGate.STRIPE))
    assert refused.value.code == ErrorCode.PROVIDER_NOT_CONFIGURED
    # The provider may still be lost through the customer: then the threshold stops and says why.
    await watch(world, alone, spend(fee, gate=PaymentGate.EXTERNAL))
    await world.use(100_000, at=NOVEMBER + HOUR, customer="direct")
    async with world.store.transaction() as session:
        row = await session.get_one(Contract, alone.id)
        aws = await world.configuration(customer_id, "aws_marketplace")
        row.billing_configuration_id = aws
    assert await look(world, alone) == 0
    stopped = await threshold(world, alone)
    assert (stopped.is_enabled, "aws_marketplace" in (stopped.stopped_because or "")) == (False, True)


async def test_a_threshold_that_is_removed_watches_nothing(world: World, fee: UUID) -> None:
    contract = await world.account("stripe", price="1")
    await watch(world, contract, spend(fee))
    await world.use(120, at=NOVEMBER + HOUR)
    async with world.store.transaction() as session:
        await remove_threshold(session, contract.id, ThresholdKind.SPEND, now=world.now)
    assert await look(world, contract) == 0
    assert await world.invoices() == []


async def test_the_worker_does_all_of_it(world: World, fee: UUID) -> None:
    """Usage is noted, the commit bought, its invoice delivered, its payment found: each by a job of its own."""
    contract = await world.account("stripe", price="1")
    async with working(runtime_of(world)):
        await watch(world, contract, spend(fee, gate=PaymentGate.STRIPE))
        await world.use(120, at=NOVEMBER + HOUR)

        async def sent() -> list[Delivery]:
            return [item for item in await world.deliveries() if item.total == 120 and item.status == "DELIVERED"]

        async def is_sent() -> bool:
            return bool(await sent())

        await until(is_sent)
        [delivery] = await sent()
        answer = world.sandbox.http.post(
            f"/v1/invoices/{delivery.provider_reference}/pay", headers={"authorization": "Bearer sk_test_1"}
        )
        assert answer.status_code == 200
        await ask(world, PAYMENTS_JOB)

        async def is_paid() -> bool:
            return [item.row.gate_outcome for item in await grants(world, contract)] == ["PAID"]

        await until(is_paid)
    async with world.store.transaction() as session:
        actions = (await session.execute(text("select actor_name, action from audit_entries"))).all()
    assert {("billing run", "threshold.purchase"), ("billing run", "invoice.finalize")} <= {
        tuple(row) for row in actions
    }
