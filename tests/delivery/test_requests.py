"""Payment requests beside metering: each cent goes one way, and what became of a request is read back, told and acted on."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.commands.checking import RULES
from app.contracts.charge_rules import NewCharge
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.core.fees import ScheduledItem
from app.core.invoice import InvoiceType
from app.core.period import Period
from app.core.reconciliation import Reason
from app.customers.tables import BillingConfiguration
from app.delivery import actions, sync
from app.delivery.awaiting import read_back_awaited
from app.delivery.external import last_state
from app.delivery.inbound import Place
from app.delivery.reconciliation import Reconciliation
from app.delivery.reconciling import reconcile
from app.delivery.registry import Connections, connect
from app.delivery.requests import buyer_of, mode_of
from app.delivery.states import DeliveryStatus
from app.delivery.tables import Delivery
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.invoices.tables import Invoice
from app.sandbox import CREDENTIALS, tables
from tests.delivery.test_routes import CURRENT, DAY, DECEMBER, NEXT, fixed, sweep_for, update
from tests.delivery.test_voids import void
from tests.delivery.world import HOUR, NOON, NOVEMBER, SETTINGS, World

AWS = "aws_marketplace"
ASKED, METERED = SETTINGS["aws_payments"], SETTINGS[AWS]
WALKS = 6 if os.environ.get("METROGRAPH_STRESS") else 2


async def read_back(world: World) -> int:
    return await read_back_awaited(Place(world.store, world.connections, world.sandbox.now))


async def requested(world: World, *charges: str, **terms: Any) -> dict[Decimal, Delivery]:
    """A contract since November with charges in its first hours, billed and sent; the deliveries by amount."""
    dates = [(NOVEMBER + number * HOUR, amount) for number, amount in enumerate(charges)]
    own = await fixed(world, *dates)
    await world.account(AWS, settings=ASKED, starting_at=NOVEMBER, own_terms=own, **terms)
    await world.finalize()
    await world.sweep()
    return await by_amount(world)


async def by_amount(world: World) -> dict[Decimal, Delivery]:
    return {row.total: row for row in await world.deliveries()}


async def total_of(world: World) -> Decimal:
    return sum((invoice.total for invoice in await world.invoices()), Decimal(0))


def asked_for(world: World) -> Decimal:
    return sum((Decimal(one["amount"]) for one in world.sandbox.requests()), Decimal(0))


async def compared(world: World) -> Reconciliation:
    """The days around now at AWS."""
    [account] = [item for item in world.connections.all() if item.provider == AWS]
    return await reconcile(world.store, account, Period(world.now - 2 * DAY, world.now + DAY), clock=world.sandbox.now)


async def sound(world: World) -> None:
    async with world.store.transaction() as session:
        for rule, (_, query) in RULES.items():
            assert not (await session.execute(text(query))).scalar_one(), rule


def accounts(world: World, **changes: Any) -> Connections:
    """The accounts as they are with other settings of the one at AWS."""
    found = tables(stripe=world.sandbox.base, aws=world.sandbox.base, azure=f"{world.sandbox.base}/api")
    found["aws-sandbox"] |= {"network_retries": 0, **changes}
    environ = CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"}
    return connect(found, environ=environ, now=world.sandbox.now)


@pytest.mark.parametrize(
    ("settings", "kind", "total", "mode"),
    [
        (ASKED, InvoiceType.SCHEDULED, "0.01", "invoice"),
        (ASKED, InvoiceType.SCHEDULED, "0", "metering"),
        (ASKED, InvoiceType.SCHEDULED, "-5", "metering"),
        (ASKED, InvoiceType.USAGE, "5", "metering"),
        (ASKED, InvoiceType.TRUEUP, "5", "metering"),
        (METERED, InvoiceType.SCHEDULED, "5", "metering"),
    ],
)
def test_the_way_of_an_invoice(settings: Mapping[str, str], kind: InvoiceType, total: str, mode: str) -> None:
    [account] = [
        item for item in connect({"a": {"provider": AWS}}, environ={}, now=lambda: NOON).all() if item.provider == AWS
    ]
    row = BillingConfiguration(settings=dict(settings))
    assert mode_of(account, row, Invoice(type=kind, total=Decimal(total))) == mode
    assert mode_of(None, row, Invoice(type=kind, total=Decimal(total))) == "invoice"
    assert buyer_of(account.capabilities, settings) == METERED


async def test_a_customer_names_an_agreement_where_the_account_takes_requests(world: World) -> None:
    customer = await world.customer()
    plain = accounts(world, payment_requests=False)
    for directory, settings, words in (
        (plain, ASKED, "agreementId: needs an account with payment_requests = true"),
        (world.connections, {**METERED, "agreementId": "agmt-acme"}, "variablePaymentTermId: is required"),
    ):
        with pytest.raises(InvalidInput, match=words) as refused:
            directory.resolve(AWS, None, settings)
        assert (refused.value.code, refused.value.path) == (ErrorCode.INVALID, ("input", "settings"))
    await plain.close()
    assert await world.configuration(customer, AWS, **ASKED)


async def test_a_request_is_answered_read_back_and_taken_back(world: World) -> None:
    sent = await requested(world, "5", "7", "9", "0")
    assert {row.mode for row in sent.values() if row.total} == {"invoice"}
    assert (sent[Decimal(0)].mode, sent[Decimal(0)].status) == ("metering", DeliveryStatus.DELIVERED)
    assert {(row.status, row.provider_status) for row in sent.values() if row.total} == {
        (DeliveryStatus.DELIVERED, "PENDING_APPROVAL")
    }
    numbers = sorted(one["name"] for one in world.sandbox.requests())
    assert [name.partition(" ")[0] for name in numbers] == ["INV-000001", "INV-000002", "INV-000003"]
    await world.use(100, at=NOON - HOUR)
    await sweep_for(world, 2)
    assert (world.sandbox.metered(AWS), asked_for(world)) == (100, 21)

    assert [await read_back(world) for _ in range(2)] == [3, 0]
    of = {Decimal(one["amount"]): one["id"] for one in world.sandbox.requests()}
    world.sandbox.answer(of[Decimal(5)], "APPROVED")
    world.sandbox.answer(of[Decimal(7)], "REJECTED", "the project was stopped")
    assert await read_back(world) == 2
    calls = world.sandbox.calls()
    assert await read_back(world) == 0
    assert world.sandbox.calls() == calls + 1, "what was decided is asked about no more"

    now = await by_amount(world)
    approved, rejected, waiting = now[Decimal(5)], now[Decimal(7)], now[Decimal(9)]
    async with world.store.transaction() as session:
        state = await last_state(session, approved.id)
        assert state is not None
        assert (approved.status, state.provider_status) == (DeliveryStatus.DELIVERED, "APPROVED")
        assert str(state.charge_reference).startswith("ch-")
    assert (rejected.status, rejected.error_code, rejected.acknowledged) == (
        DeliveryStatus.NEEDS_ATTENTION, "VOIDED_AT_PROVIDER", 0,
    )  # fmt: skip
    assert str(rejected.error_message).endswith("is REJECTED at the provider, and final here. The provider says: the "
                                                "project was stopped")  # fmt: skip
    assert rejected.error_hint
    assert waiting.status == DeliveryStatus.DELIVERED
    await sound(world)
    # A retry asks AWS, which has not forgotten; and nothing of it is metered.
    async with world.store.transaction() as session:
        await actions.retry(session, world.connections, rejected.id, now=world.now)
    await sweep_for(world, 2)
    rejected = (await by_amount(world))[Decimal(7)]
    assert (rejected.status, len(world.sandbox.requests())) == (DeliveryStatus.NEEDS_ATTENTION, 3)
    assert "the project was stopped" in str(rejected.error_message)
    assert world.sandbox.metered(AWS) == 100

    for invoice in await world.invoices():
        if invoice.total:
            await void(world, invoice, in_provider=True)
    await world.sweep()
    now = await by_amount(world)
    assert [now[Decimal(n)].status for n in (5, 7, 9)] == ["NEEDS_ATTENTION", "CANCELED", "CANCELED"]
    assert sorted(one["status"] for one in world.sandbox.requests()) == ["APPROVED", "CANCELLED", "REJECTED"]
    charged = now[Decimal(5)]
    assert charged.error_code == "CREDIT_NEEDED"
    assert (await compared(world)).discrepancies == []
    assert "billing adjustment" in str(charged.error_hint)
    calls = world.sandbox.calls()
    await world.sweep()
    assert (world.sandbox.calls(), await read_back(world)) == (calls, 0), "a person decides"
    async with world.store.transaction() as session:
        await actions.cancel(session, charged.id, reason="credited at AWS", now=world.now)
    charged = (await by_amount(world))[Decimal(5)]
    assert (charged.status, charged.error_code) == (DeliveryStatus.CANCELED, "CREDITED")
    assert (await compared(world)).discrepancies == [], "what is approved stands at AWS for good"
    await sound(world)


async def test_an_account_that_takes_requests_no_more_meters_none_of_them(world: World) -> None:
    terms = await fixed(world, (NOVEMBER, "5"))
    await world.account(AWS, settings=ASKED, starting_at=NOVEMBER, own_terms=terms)
    live, world.connections = world.connections, accounts(world, payment_requests=False)
    await world.finalize()
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "PAYMENT_REQUESTS_OFF")
    await world.connections.close()
    world.connections = live
    await sweep_for(world, 2)
    assert (world.sandbox.requests(), world.sandbox.metered(AWS)) == ([], 0)
    async with world.store.transaction() as session:
        await actions.retry(session, world.connections, delivery.id, now=world.now)
    await sweep_for(world, 1)
    [delivery] = await world.deliveries()
    assert (delivery.status, asked_for(world), world.sandbox.metered(AWS)) == (DeliveryStatus.DELIVERED, 5, 0)


async def test_what_aws_refuses_waits_for_a_person_and_may_be_given_up(world: World) -> None:
    order = {"agreement": ASKED["agreementId"], "term": ASKED["variablePaymentTermId"], "most": "8"}
    assert world.sandbox.http.post("/_sandbox/aws/payment-terms", json=order).status_code == 204
    sent = await requested(world, "5", "7")
    refused = sent[Decimal(7)]
    assert (refused.status, refused.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "INVALID_CHARGE_AMOUNT")
    assert "above what the term has left" in str(refused.error_hint)
    with pytest.raises(InvalidState):
        async with world.store.transaction() as session:
            await actions.cancel(session, sent[Decimal(5)].id, reason="no", now=world.now)
    async with world.store.transaction() as session:
        await actions.cancel(session, refused.id, reason="paid directly", now=world.now)
    await sweep_for(world, 2)
    assert (asked_for(world), world.sandbox.metered(AWS)) == (5, 0)
    await sound(world)


async def test_requests_begin_with_the_next_statement_and_both_ways_share_the_buyers_hours(world: World) -> None:
    """November's charge is metered, December's is asked for; of each month both ways together make its invoices."""
    customer = await world.customer()
    plain, asked = (
        await world.configuration(customer, AWS, **METERED),
        await world.configuration(customer, AWS, **ASKED),
    )
    fees = await fixed(world, (NOON + 18 * DAY, "5"), (DECEMBER + HOUR, "7"))
    contract = await world.contract(customer, plain, starting_at=NOVEMBER, own_terms=fees)
    with pytest.raises(InvalidState):
        await update(world, contract.id, asked, CURRENT)
    await update(world, contract.id, asked, NEXT)
    world.sandbox.set_clock(DECEMBER + 6 * HOUR)
    await world.use(40, at=DECEMBER - HOUR)
    await world.use(60, at=DECEMBER)
    await world.finalize()
    await sweep_for(world, 4)
    assert world.sandbox.metered(AWS) == 500 + 40 + 60, "November goes on beside December, an hour each"
    assert [one["amount"] for one in world.sandbox.requests()] == ["7"]
    world.sandbox.set_clock(DECEMBER + 33 * DAY)
    await world.finalize()
    await sweep_for(world, 2)
    assert await total_of(world) == asked_for(world) + Decimal(world.sandbox.metered(AWS)) / 100 == 13
    assert {row.status for row in await world.deliveries()} == {DeliveryStatus.DELIVERED}
    await sound(world)


async def test_a_discount_by_itself_makes_less_be_metered(world: World) -> None:
    """5.00 are asked for, 2.00 come off on an invoice of their own, and of 3.00 of usage 1.00 is metered."""
    own = await fixed(world, (NOVEMBER, "5"))
    assert own.fees is not None
    [charge] = own.fees.charges
    items = [ScheduledItem(NOVEMBER + HOUR, Decimal(2), Decimal(1))]
    fees = NewFees(charges=[charge, NewCharge(product_id=charge.product_id, items=items, is_discount=True)])
    await world.account(AWS, settings=ASKED, starting_at=NOVEMBER, own_terms=OwnTerms(fees=fees))
    await world.use(300, at=NOON - HOUR)
    await world.sweep()
    assert (world.sandbox.metered(AWS), world.sandbox.requests()) == (100, []), "drafts count as they will be billed"
    await world.finalize()
    await sweep_for(world, 2)
    assert (world.sandbox.metered(AWS), asked_for(world)) == (100, 5)
    by_itself, discount = (await by_amount(world))[Decimal(5)], (await by_amount(world))[Decimal(-2)]
    assert (by_itself.mode, discount.mode, discount.status) == ("invoice", "metering", DeliveryStatus.DELIVERED)
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await sweep_for(world, 2)
    assert await total_of(world) == asked_for(world) + Decimal(world.sandbox.metered(AWS)) / 100 == 6
    await sound(world)


@pytest.mark.parametrize("seed", range(WALKS))
async def test_each_cent_goes_one_way(world: World, seed: int) -> None:
    """Usage, charges and broken calls at random: what is counted and what is asked for is what the invoices come to."""
    rng = random.Random(seed)
    charges = [
        (NOON + rng.randrange(-30, 20) * HOUR, f"{rng.choice((0, 1, 12))}.{rng.randrange(100):02}") for _ in range(6)
    ]
    own = await fixed(world, *charges)
    await world.account(AWS, settings=ASKED, price="0.0077", starting_at=NOVEMBER, own_terms=own)
    for _ in range(24):
        if rng.random() < 0.6:
            await world.use(rng.randrange(1, 2_000), at=world.now - rng.randrange(1, 20) * timedelta(minutes=60))
        if rng.random() < 0.4:
            kind = rng.choice(("drop_after", "drop_before", "refuse_500", "throttle_429", "reset_after"))
            world.sandbox.fault(AWS, kind, match=rng.choice(("SendAgreement", "BatchMeterUsage", "ListAgreement")))
        if rng.random() < 0.3:
            world.sandbox.reset("keys")
        await world.finalize()
        await world.sweep()
        world.sandbox.move(hours=1)
    world.sandbox.reset("faults")
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.finalize()
    await sweep_for(world, 2)
    metered = Decimal(world.sandbox.metered(AWS)) / 100
    assert metered + asked_for(world) == await total_of(world)
    scheduled = {row.id: row.total for row in await world.invoices() if row.type == InvoiceType.SCHEDULED}
    assert asked_for(world) == sum(scheduled.values())
    assert len(world.sandbox.requests()) == sum(total > 0 for total in scheduled.values())
    for row in await world.deliveries():
        assert row.status == DeliveryStatus.DELIVERED
        assert (row.mode == "invoice") == (scheduled.get(row.invoice_id, Decimal(0)) > 0)
    await sound(world)


async def test_reconciliation_shows_requests_beside_what_is_metered(world: World) -> None:
    sent = await requested(world, "5", "7", "9", "11")
    await world.use(100, at=NOON - HOUR)
    await sweep_for(world, 1)

    async def found() -> tuple[
        list[tuple[Reason, Decimal]], Mapping[str | None, Decimal], Mapping[str | None, Decimal]
    ]:
        report = await compared(world)
        assert not report.is_unread
        assert "metering API has no read" in str(report.problem)
        return sorted((item.reason, item.difference) for item in report.discrepancies), report.ours, report.theirs

    assert await found() == ([], {"USD": Decimal(33)}, {"USD": Decimal(32)})
    of = {Decimal(one["amount"]): one["id"] for one in world.sandbox.requests()}
    world.sandbox.answer(of[Decimal(5)], "REJECTED")  # Not read back yet.
    async with world.store.transaction() as session:
        changed = "update deliveries set {} where id = :id"
        await session.execute(text(changed.format("total = total + 1")), {"id": sent[Decimal(7)].id})
        lost = "status = 'FAILED', delivered_at = null, provider_reference = null"
        await session.execute(text(changed.format(lost)), {"id": sent[Decimal(9)].id})
        away = "provider_reference = 'agmt-acme/pr-none', invoice_id = invoice_id"
        await session.execute(text(changed.format(away)), {"id": sent[Decimal(11)].id})
    differences, _, _ = await found()
    assert differences == sorted(
        [(Reason.VOIDED_THERE, Decimal(-5)), (Reason.AMOUNT, Decimal(-1)), (Reason.UNCONFIRMED, Decimal(0))]
    )
    await read_back(world)
    differences, _, _ = await found()
    assert (Reason.VOIDED_THERE, Decimal(-5)) in differences
    world.sandbox.fault(AWS, "refuse_500", match="ListAgreement")
    assert (await compared(world)).is_unread


async def test_a_sweep_that_cannot_read_asks_again_later(world: World) -> None:
    await requested(world, "5", "7")
    world.sandbox.fault(AWS, "refuse_500", match="GetAgreement", times=1)
    calls = world.sandbox.calls()
    assert await read_back(world) == 0
    assert world.sandbox.calls() == calls + 1, "an account that does not answer is asked once"
    assert await read_back(world) == 2
    target = sync.Target(world.store, world.connections, world.sandbox.now)
    await sync.sweep(target, at_once=True)
    assert len(world.sandbox.requests()) == 2
