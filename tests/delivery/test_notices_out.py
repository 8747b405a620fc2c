"""Which changes are told: invoices, deliveries, balances, the calendar; each once, with what it says."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.access import audit
from app.alerts.rules import NewAlert
from app.alerts.service import create_alert
from app.catalog.products import create_product
from app.change import Change
from app.clock import Clock
from app.contracts.ending import archive_contract
from app.contracts.service import create_contract
from app.core.alerts import AlertType
from app.core.grants import GrantType
from app.core.terms import ProductType
from app.grants.definitions import NewGrant, NewSegment
from app.grants.service import insert_grants
from app.invoices.regenerating import regenerate_invoice
from app.invoices.voiding import void_invoice
from app.notices.calendar import tell_calendar
from app.notices.endpoints import create_endpoint
from app.notices.samples import sample_of
from app.notices.sending import Place, send_due
from app.notices.service import ask_to_send
from app.notices.tables import Notice
from app.runtime import Runtime
from app.settings import Settings
from app.store.ids import to_text
from app.worker import working
from tests.delivery.world import ACTOR, HOUR, NOVEMBER, World
from tests.notices.receiver import receiving
from tests.processes import Command

DAY = timedelta(days=1)


async def told(world: World, *families: str) -> list[Notice]:
    async with world.store.transaction() as session:
        rows = (await session.execute(select(Notice).order_by(col(Notice.id)))).scalars().all()
    for row in rows:
        says = {name for name in row.data if not name.endswith("CustomFields")}
        assert says == set(sample_of(row.type, now=world.now)), f"the sample of {row.type} is another one"
    return [row for row in rows if not families or row.type.startswith(families)]


async def gift(world: World) -> UUID:
    """What a balance is sold as."""
    async with world.store.transaction() as session:
        return (await create_product(session, name="Gift", type=ProductType.FIXED, now=world.now)).id


async def tick(world: World) -> None:
    async with world.store.transaction() as session:
        await tell_calendar(session, now=world.now)


def types(rows: list[Notice]) -> list[str]:
    return sorted(row.type for row in rows)


async def test_the_life_of_an_invoice(world: World) -> None:
    contract = await world.account("stripe")
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    [invoice] = await world.invoices()
    async with world.store.transaction() as session:
        await void_invoice(session, invoice.id, reason="wrong", now=world.now)
    async with world.store.transaction() as session:
        await regenerate_invoice(session, invoice.id, now=world.now)
    found = await told(world, "invoice.", "delivery.")
    assert types(found) == [
        "delivery.delivered", "invoice.finalized", "invoice.finalized", "invoice.regenerated", "invoice.voided"
    ]  # fmt: skip
    [first] = [row for row in found if row.subject_id == invoice.id and row.type == "invoice.finalized"]
    assert first.data == {
        "invoiceId": to_text("invoice", invoice.id), "customerId": to_text("customer", contract.customer_id),
        "contractId": to_text("contract", contract.id), "number": 1, "invoiceType": "USAGE", "currency": "USD",
        "total": "12.34", "issuedAt": "2026-11-02T00:00:00Z", "status": "FINALIZED",
    }  # fmt: skip
    [again] = [row for row in found if row.type == "invoice.regenerated"]
    assert again.data["regeneratedFrom"] == to_text("invoice", invoice.id)
    [void] = [row for row in found if row.type == "invoice.voided"]
    assert (void.data["reason"], void.data["status"]) == ("wrong", "VOID")


async def test_an_invoice_that_its_provider_refuses(world: World) -> None:
    await world.account("stripe", settings={"stripeCustomerId": "cus_missing"})
    await world.use(5, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    [delivery] = await world.deliveries()
    wanted = {
        "DELIVERED": ["delivery.delivered"],
        "FAILED": ["delivery.failed"],
        "NEEDS_ATTENTION": ["delivery.needs_attention", "invoice.billing_provider_error"],
    }[delivery.status]
    assert types(await told(world, "delivery.", "invoice.billing")) == wanted


async def test_what_begins_and_ends_is_told_once_for_each_date(world: World) -> None:
    customer = await world.customer()
    contract = await world.contract(customer, None, ending_before=datetime(2026, 11, 2, 20, tzinfo=UTC))
    begun = NewSegment(Decimal(10), world.now - HOUR, world.now + 2 * HOUR)
    later = NewSegment(Decimal(10), world.now + 2 * HOUR, world.now + 3 * HOUR)
    async with world.store.transaction() as session:
        entry = NewGrant(type=GrantType.CREDIT, segments=[begun, later], product_id=await gift(world), unit="USD")
        [row] = await insert_grants(session, contract, [entry], path=("input",), now=world.now)
    assert types(await told(world)) == ["contract.create", "credit.create"]
    for _ in range(2):
        await tick(world)
    assert types(await told(world, "contract.start", "contract.end", "credit.seg")) == [
        "contract.start", "credit.segment.start"
    ]  # fmt: skip
    for hours in (1, 1, 1, 6, 24):
        world.sandbox.move(hours=hours)
        await tick(world)
    found = await told(world, "contract.start", "contract.end", "credit.seg")
    assert Counter(types(found)) == {
        "contract.start": 1, "contract.end": 1, "credit.segment.start": 2, "credit.segment.end": 2
    }  # fmt: skip
    segments = [
        (n.type, n.data["segmentIndex"], n.data["segmentCount"], n.occurred_at) for n in found if "seg" in n.type
    ]
    assert sorted(segments) == [
        ("credit.segment.end", 0, 2, begun.ending_before), ("credit.segment.end", 1, 2, later.ending_before),
        ("credit.segment.start", 0, 2, begun.starting_at), ("credit.segment.start", 1, 2, later.starting_at),
    ]  # fmt: skip
    assert all(n.data["creditId"] == to_text("credit", row.id) for n in found if "seg" in n.type)


async def test_edits_and_archives(world: World) -> None:
    customer = await world.customer()
    contract = await world.contract(customer, None)
    async with world.store.transaction() as session:
        entry = NewGrant(
            type=GrantType.PREPAID, segments=[NewSegment(Decimal(10), NOVEMBER, NOVEMBER + 40 * DAY)],
            product_id=await gift(world), unit="USD",
        )  # fmt: skip
        [row] = await insert_grants(session, contract, [entry], path=("input",), now=world.now)
    async with world.store.transaction() as session:
        change = Change("commit", row.id, {"name": None}, {"name": "new"})
        await audit.record(session, ACTOR, action="balance.update", now=world.now, change=change)
        await audit.record(session, ACTOR, action="balance.update", now=world.now, code="INVALID", change=change)
    async with world.store.transaction() as session:
        await archive_contract(session, contract.id, now=world.now)
    assert types(await told(world)) == [
        "commit.archive", "commit.create", "commit.edit", "contract.archive", "contract.create"
    ]  # fmt: skip
    await tick(world)
    assert await told(world, "contract.start", "commit.segment") == [], "what is archived neither begins nor ends"


async def test_a_billing_run_that_is_done(world: World) -> None:
    await world.account("stripe")
    await world.use(5, at=NOVEMBER - HOUR)
    await world.finalize()
    for _ in range(2):
        await tick(world)
    [row] = await told(world, "job.")
    async with world.store.transaction() as session:
        run_id = (await session.execute(text("select id from billing_runs"))).scalar_one()
    assert row.data == {"jobId": to_text("job", run_id)}


async def test_what_a_transaction_that_fails_would_have_said(world: World) -> None:
    customer = await world.customer()
    with pytest.raises(RuntimeError):
        async with world.store.transaction() as session:
            await create_contract(
                session, world.connections, customer_id=customer, currency="USD", starting_at=NOVEMBER, now=world.now
            )
            raise RuntimeError
    assert await told(world) == []


async def test_from_usage_to_a_message_with_nothing_but_a_worker(world: World) -> None:
    """Ingest notes, a job looks, a job wakes the sender: what a customer waits for when an alert is crossed."""
    customer = await world.customer()
    await world.contract(customer, None, price="1", starting_at=NOVEMBER)
    settings = Settings(environment="sandbox", allow_private_webhooks=True)
    runtime = Runtime(settings, world.store, Clock(str(world.sandbox.clock_file)), world.connections)
    async with receiving() as receiver, working(runtime):
        async with world.store.transaction() as session:
            made = await create_endpoint(session, settings, url=receiver.url, event_types=["alerts.*"], now=world.now)
            wanted = NewAlert(name="spend", type=AlertType.SPEND_THRESHOLD_REACHED, threshold=Decimal(10))
            await create_alert(session, wanted, now=world.now)
        await world.use(10, at=world.now - HOUR)
        async with asyncio.timeout(20):
            while not receiver.got:  # noqa: ASYNC110 - what came is looked at, not waited for
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
    [message] = receiver.got
    assert message.verified(made.secret)
    assert (message.content["type"], message.content["data"]["currentSpend"]) == (
        "alerts.spend_threshold_reached",
        "10",
    )


async def test_a_worker_killed_over_a_notice_tells_it_again_with_its_id(world: World) -> None:
    """Before the call nothing came, after it the receiver has it already: nothing is missing, and repeats are known."""
    settings = Settings(environment="sandbox", allow_private_webhooks=True)
    async with receiving() as receiver:
        async with world.store.transaction() as session:
            made = await create_endpoint(session, settings, url=receiver.url, event_types=["contract.*"], now=world.now)
        await world.contract(await world.customer(), None, price="1", starting_at=NOVEMBER)
        for point, came in (("notice.before_call", 0), ("notice.called", 1)):
            async with world.store.transaction() as session:
                await ask_to_send(session, made.row.id)
            env = world.sandbox.environment(world.store.url, failpoint=point)
            worker = Command("worker", env={**env, "METROGRAPH_ALLOW_PRIVATE_WEBHOOKS": "1"})
            _, said = await asyncio.to_thread(worker.communicate, 60)
            assert worker.returncode == -signal.SIGKILL, said
            assert len(receiver.got) == came, point
        assert await send_due(Place(world.store, settings, lambda: world.now), made.row.id) == 1
        assert await send_due(Place(world.store, settings, lambda: world.now), made.row.id) == 0
    first, again = receiver.got
    [notice] = await told(world, "contract.")
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == to_text("notice", notice.id)
    assert first.body == again.body
    assert first.verified(made.secret)
