"""Buyers at marketplaces from their arrival to the last call, through the doors that they and the marketplaces use."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select
from starlette.applications import Starlette

from app.clock import Clock
from app.commands.checking import RULES
from app.delivery import marketplaces, matching
from app.delivery.inbound import NoticeState, Place, Subject, Way, handle_all, receive
from app.delivery.registry import Connections
from app.delivery.states import DeliveryStatus, SlotAlarm, SlotStatus, alarm_of
from app.delivery.subscriptions import observe, to_view
from app.delivery.tables import MarketplaceSubscription
from app.errors import InvalidState
from app.pages.arrival import POLICY
from app.sandbox import TOPIC
from app.settings import Settings
from app.store.engine import Store
from app.store.ids import new_id
from app.web_marketplace import TICKET_LIFE, marketplace_routes
from app.web_notices import notice_routes
from app.worker import NOTICE_HANDLERS
from connectors.base import Notification, Terminal, Transient
from tests.delivery.world import HOUR, NOON, NOVEMBER, SETTINGS, World

AWS, AZURE = "aws_marketplace", "azure_marketplace"
LANDING = "/marketplace/azure/azure-sandbox/landing"
REGISTER = "/marketplace/aws/aws-sandbox/register"
PERSON = {"company": "Contoso <b>", "name": "Ada", "email": "ada@contoso.example", "account": ""}
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Street:
    """The pages and webhooks of a world, the jobs behind them, and the marketplaces' side."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http
        self.place = Place(world.store, world.connections, world.sandbox.now)

    def order(self, path: str, **content: Any) -> Any:
        answer = self.world.sandbox.http.post(f"/_sandbox/{path}", json=content)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def land(self, token: str) -> httpx.Response:
        return await self.http.get(f"{LANDING}?token={quote(token, safe='')}")

    async def tell_azure(self, subscription: str, action: str, *, times: int = 1, **more: Any) -> None:
        sent = self.order("azure/operations", subscription=subscription, action=action, **more)
        for _ in range(times):
            answer = await self.http.post(
                "/webhooks/azure-marketplace/azure-sandbox",
                json=sent["body"],
                headers={"authorization": sent["authorization"]},
            )
            assert answer.status_code == 200, answer.text
        await self.handle()

    async def tell_aws(self, inner: dict[str, Any], **more: Any) -> httpx.Response:
        message = self.order("sns/messages", topic=TOPIC, message=json.dumps(inner), **more)
        return await self.http.post("/webhooks/aws-marketplace/aws-sandbox", json=message)

    async def handle(self) -> int:
        return await handle_all(self.place, NOTICE_HANDLERS, at_once=True)

    async def follow(self) -> int:
        return await marketplaces.follow_all(self.place)

    async def rows(self) -> list[MarketplaceSubscription]:
        async with self.world.store.transaction() as session:
            found = await session.execute(select(MarketplaceSubscription).order_by(text("id")))
            return list(found.scalars())

    async def row(self) -> MarketplaceSubscription:
        [row] = await self.rows()
        return row

    async def link(self, customer: str = "acme") -> MarketplaceSubscription:
        customer_id = await self.world.customer(customer)
        async with self.world.store.transaction() as session:
            row = await self.row()
            made = await matching.link(
                session, self.world.connections, row.id, customer_id=customer_id, is_default=True, now=self.world.now
            )
        assert made.billing_configuration_id is not None
        await self.world.contract(customer_id, made.billing_configuration_id)
        return made

    async def count(self, query: str) -> int:
        async with self.world.store.transaction() as session:
            return (await session.execute(text(query))).scalar_one()


@pytest.fixture
async def street(world: World) -> AsyncIterator[Street]:
    clock = Clock(str(world.sandbox.clock_file))
    settings = Settings(environment="sandbox", seller_name="Gateway & Sons")
    routes = [
        *marketplace_routes(settings, world.store, clock, world.connections),
        *notice_routes(world.store, clock, world.connections),
    ]
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://metrograph.test") as http:
        yield Street(world, http)


def ticket_in(page: httpx.Response) -> str:
    return page.text.partition('name="ticket" value="')[2].partition('"')[0]


async def test_a_buyer_from_azure_arrives_is_matched_and_billed(street: Street, world: World) -> None:
    bought = street.order("azure/subscriptions", quantity="20")
    identifier = bought["subscription"]["id"]
    page = await street.land(bought["token"])
    assert (page.status_code, page.headers["content-security-policy"]) == (200, POLICY)
    assert "<script" not in page.text
    assert "Gateway &amp; Sons" in page.text
    assert (await street.http.get(f"{LANDING}?token={bought['token']}")).status_code == 200, "a bare plus is understood"
    row = await street.row()
    assert (row.state, row.reference, row.customer_id, row.quantity) == ("PENDING", identifier, None, "20")

    sent = {"ticket": ticket_in(page), **PERSON}
    assert "Thank you" in (await street.http.post(LANDING, data=sent)).text
    assert (await street.row()).contact == {key: value for key, value in PERSON.items() if value}
    for wrong in ({"ticket": sent["ticket"] + "0"}, {"ticket": "x"}, {"email": "nobody"}, {"company": " "}):
        assert (await street.http.post(LANDING, data=sent | wrong)).status_code == 400
    world.sandbox.set_clock(NOON + TICKET_LIFE)
    assert (await street.http.post(LANDING, data=sent)).status_code == 400
    world.sandbox.set_clock(NOON)

    linked = await street.link()
    assert linked.state == "PENDING"
    world.sandbox.fault(AZURE, "drop_after", match="saas.activate")
    await street.follow()
    await street.follow()
    row = await street.row()
    assert (row.state, row.activated_at, row.error_code) == ("ACTIVE", NOON, None)
    assert "You are all set" in (await street.land(bought["token"])).text
    assert await street.follow() == 0, "nothing is asked again before the next day"

    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    assert world.sandbox.metered(AZURE) == 100


async def test_usage_waits_until_the_subscription_is_active(street: Street, world: World) -> None:
    bought = street.order("azure/subscriptions")
    await street.land(bought["token"])
    await street.link()
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    assert await world.slots() == []
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "SUBSCRIPTION_PENDING")
    await street.follow()
    await world.sweep()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.DELIVERED, None)


async def subscribed(street: Street) -> str:
    """A buyer at Azure with an active subscription and a contract; gives the subscription's id."""
    bought = street.order("azure/subscriptions")
    await street.land(bought["token"])
    await street.link()
    await street.follow()
    return bought["subscription"]["id"]


async def test_a_subscription_is_suspended_reinstated_and_ends(street: Street, world: World) -> None:
    identifier = await subscribed(street)
    await world.use(100, at=NOON - HOUR)
    await street.tell_azure(identifier, "Suspend", times=3)
    await world.sweep()
    assert ((await street.row()).state, await world.slots()) == ("SUSPENDED", [])
    await street.tell_azure(identifier, "Reinstate")
    await world.sweep()
    assert (await street.row()).state == "ACTIVE"
    assert world.sandbox.metered(AZURE) == 100

    world.sandbox.set_clock(NOON + timedelta(minutes=20))
    await world.use(7, at=NOON + timedelta(minutes=5))
    await street.tell_azure(identifier, "Unsubscribe", times=2)
    row = await street.row()
    assert (row.state, row.ended_at) == ("ENDED", NOON + timedelta(minutes=20))
    assert world.sandbox.metered(AZURE) == 107, "what is owed goes out at once, in the hour of the end"
    world.sandbox.set_clock(NOON + 3 * HOUR)
    await world.use(5, at=NOON + timedelta(minutes=10))
    await world.sweep()
    assert world.sandbox.metered(AZURE) == 107, "after the last call nothing is sent"
    notices = await street.count("select count(*) from provider_notices where state = 'HANDLED'")
    changes = await street.count("select count(*) from audit_entries where action = 'marketplace_subscription.observe'")
    assert (notices, changes) == (3, 5), "bought, active, and one for each operation"


async def test_a_plan_is_changed_after_the_usage_of_the_old_one(street: Street, world: World) -> None:
    identifier = await subscribed(street)
    await world.use(100, at=NOON - HOUR)
    world.sandbox.fault(AZURE, "throttle_429", match="saas.operation")
    await street.tell_azure(identifier, "ChangePlan", planId="gold")
    assert (await street.row()).plan == "standard", "Azure asked to slow down; the notice waits"
    await street.handle()
    row = await street.row()
    assert (row.plan, row.settings["planId"]) == ("gold", "gold")
    assert [slot["quantity"] for slot in world.sandbox.effects(AZURE)] == ["100"]
    world.sandbox.move(hours=1)
    await world.use(30, at=NOON)
    await world.sweep()
    assert [slot.record["customer"]["planId"] for slot in await world.slots()] == ["standard", "gold"]
    assert world.sandbox.metered(AZURE) == 130
    await street.tell_azure(identifier, "ChangeQuantity", quantity="7")
    assert (await street.row()).quantity == "7"


async def test_a_notice_alone_moves_nothing(street: Street, world: World) -> None:
    """Whoever holds a good token could still make things up: the marketplace is asked, and what it shows holds."""
    identifier = await subscribed(street)
    made_up = {"id": identifier, "subscriptionId": identifier, "action": "Unsubscribe", "status": "Succeeded"}
    bearer = street.order("entra/tokens")["token"]
    for headers, status in (({"authorization": f"Bearer {bearer}"}, 200), ({}, 400)):
        answer = await street.http.post("/webhooks/azure-marketplace/azure-sandbox", json=made_up, headers=headers)
        assert answer.status_code == status
    await street.handle()
    assert (await street.row()).state == "ACTIVE"


async def test_what_no_notice_told_is_read_once_a_day(street: Street, world: World) -> None:
    identifier = await subscribed(street)
    street.order("azure/operations", subscription=identifier, action="Suspend")  # the notice was lost
    world.sandbox.move(hours=19)
    assert await street.follow() == 0
    world.sandbox.move(hours=2)
    assert await street.follow() == 1
    assert (await street.row()).state == "SUSPENDED"


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", LANDING, b""),
        ("GET", f"{LANDING}?token=nonsense", b""),
        ("GET", f"{LANDING}?token={'x' * 9000}", b""),
        ("POST", REGISTER, b"x-amzn-marketplace-token=expired"),
        ("POST", REGISTER, b"x-amzn-marketplace-token="),
        ("GET", f"{REGISTER}?token=123456789012", b""),
        ("POST", REGISTER, b"x" * 40_000),
        ("POST", REGISTER, b"\xff\xfe"),
        ("POST", REGISTER, "&".join(f"a{i}=1" for i in range(50)).encode()),
        ("POST", REGISTER, b"ticket=a.b.c"),
        ("POST", REGISTER, "ticket=ü".encode()),
    ],
)
async def test_who_does_not_come_from_a_marketplace_is_sent_back(
    method: str, path: str, content: bytes, street: Street
) -> None:
    answer = await street.http.request(method, path, content=content, headers=FORM)
    assert answer.status_code == 400
    assert answer.headers["content-security-policy"] == POLICY
    assert await street.rows() == []
    assert (await street.http.get("/marketplace/azure/aws-sandbox/landing?token=x")).status_code == 404


async def test_a_marketplace_that_is_down_keeps_the_buyer_waiting(street: Street, world: World) -> None:
    world.sandbox.fault(AWS, "refuse_500", times=None)
    answer = await street.http.post(REGISTER, data={"x-amzn-marketplace-token": "123456789012"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    world.sandbox.reset("faults")
    assert (await street.http.post(REGISTER, data={"x-amzn-marketplace-token": "123456789012"})).status_code == 200
    assert (await street.row()).state == "ACTIVE"


def event(kind: str, at: datetime, *, number: int = 1, account: str = "123456789012", **more: Any) -> dict[str, Any]:
    """An event of EventBridge about the license of the world's AWS customer."""
    arn = SETTINGS[AWS]["licenseArn"].removeprefix("arn:")
    detail = {"agreement": {"id": f"agmt-{account}"}, "acceptor": {"accountId": account}, "license": {"arn": arn}}
    return {
        "id": f"e-{number}-{kind}", "detail-type": kind, "source": "aws.agreement-marketplace",
        "time": at.isoformat(), "detail": detail | more,
    }  # fmt: skip


DEPROVISIONED = "License Deprovisioned - Manufacturer"
UPDATED = "License Updated - Manufacturer"


async def test_the_end_of_an_agreement_sends_what_is_owed_within_the_hour(street: Street, world: World) -> None:
    """12:00 sent as usual; the end at 12:10; 12:12 and 13:00 are the last calls; what comes at 13:15 is too late."""
    await world.account(AWS, settings=SETTINGS[AWS])
    await world.use(100, at=NOON - HOUR)
    await world.sweep()
    world.sandbox.set_clock(NOON + timedelta(minutes=12))
    await world.use(20, at=NOON + timedelta(minutes=5))
    await street.tell_aws(event(DEPROVISIONED, NOON + timedelta(minutes=10)))
    await street.handle()
    row = await street.row()
    assert row.billing_configuration_id is not None, "it is matched with the configuration that names the license"
    assert (row.state, row.metering_until) == ("ENDED", NOON + timedelta(minutes=70))
    assert world.sandbox.metered(AWS) == 120
    [_, last] = await world.slots()
    assert (last.hour, last.deadline) == (NOON, NOON + timedelta(minutes=70))
    await world.use(3, at=NOON + timedelta(minutes=9))
    world.sandbox.set_clock(NOON + HOUR)
    await world.sweep()
    assert world.sandbox.metered(AWS) == 123
    world.sandbox.set_clock(NOON + timedelta(minutes=75))
    await world.use(40, at=NOON + timedelta(minutes=9))
    await world.sweep()
    assert world.sandbox.metered(AWS) == 123
    world.sandbox.set_clock(datetime(2026, 12, 2, tzinfo=NOON.tzinfo))
    await world.finalize()
    await world.sweep()
    found = {delivery.error_code for delivery in await world.deliveries() if delivery.total}
    assert found == {"AGREEMENT_ENDED"}, "what could not be sent is told, and stays"


async def test_notices_of_an_agreement_end_the_same_in_any_order(street: Street, world: World) -> None:
    await world.account(AWS, settings=SETTINGS[AWS])
    notices = [
        event("Purchase Agreement Created - Manufacturer", NOON - 3 * HOUR, license={}),
        event(UPDATED, NOON - 3 * HOUR),
        event(UPDATED, NOON - HOUR, number=2),
        event(DEPROVISIONED, NOON - HOUR, number=3),
        event("Purchase Agreement Ended - Proposer", NOON - HOUR, number=4, license={}),
    ]
    for order in (notices, notices[::-1], notices[2:] + notices[:2]):
        async with world.store.transaction() as session:
            await session.execute(text("truncate marketplace_subscriptions, provider_notices"))
        for one in [*order, *order]:
            assert (await street.tell_aws(one)).status_code == 200
            await street.handle()
        row = await street.row()
        assert (row.state, row.ended_at) == ("ENDED", NOON - HOUR)
    await street.tell_aws(event(UPDATED, NOON, number=9))
    await street.handle()
    assert (await street.row()).state == "ACTIVE", "the buyer came back"


async def test_concurrent_agreements_of_one_buyer_end_apart(street: Street, world: World) -> None:
    other = SETTINGS[AWS] | {"licenseArn": SETTINGS[AWS]["licenseArn"] + "-2"}
    await world.account(AWS, settings=SETTINGS[AWS])
    await world.account(AWS, name="second", settings=other)
    for customer in ("acme", "second"):
        await world.use(50, at=NOON - HOUR, customer=customer)
    await street.tell_aws(event(DEPROVISIONED, NOON - 2 * HOUR))
    await street.handle()
    await world.sweep()
    assert [slot.record["customer"]["licenseArn"] for slot in await world.slots()] == [other["licenseArn"]]


async def test_an_older_product_is_told_of_by_its_topic(street: Street, world: World) -> None:
    settings = {"productCode": "prod1", "customerIdentifier": "c1"}
    await world.account(AWS, settings=settings)
    await world.use(100, at=NOON - HOUR)
    inner = {"product-code": "prod1", "customer-identifier": "c1"}
    confirmation = street.order("sns/messages", topic=TOPIC, type="SubscriptionConfirmation")
    await street.http.post("/webhooks/aws-marketplace/aws-sandbox", json=confirmation)
    await street.tell_aws({"action": "subscribe-success", **inner})
    await street.tell_aws({"action": "unsubscribe-pending", **inner}, at=(NOON - timedelta(minutes=5)).isoformat())
    await street.handle()
    assert (await street.row()).state == "ACTIVE", "the success came later"
    world.sandbox.move(minutes=3)
    await street.tell_aws({"action": "unsubscribe-pending", **inner})
    await street.handle()
    assert ((await street.row()).state, world.sandbox.metered(AWS)) == ("ENDED", 100)
    confirmed = [call["operation"] for call in world.sandbox.http.get("/_sandbox/calls").json()["calls"]]
    assert confirmed.count("confirm sandbox-token") == 1


async def test_a_match_is_made_once(street: Street, world: World) -> None:
    await street.http.post(REGISTER, data={"x-amzn-marketplace-token": "123456789012"})
    first = await street.link()
    async with world.store.transaction() as session:
        assert first.customer_id is not None
        again = await matching.link(
            session, world.connections, first.id, customer_id=first.customer_id, is_default=False, now=world.now
        )
        assert again.billing_configuration_id == first.billing_configuration_id
    other = await world.customer("other")
    async with world.store.transaction() as session:
        with pytest.raises(InvalidState):
            await matching.link(
                session, world.connections, first.id, customer_id=other, is_default=False, now=world.now
            )
        assert not await matching.give_contact(session, first.id, PERSON, now=world.now)


@pytest.mark.parametrize("hours", [5, 23, 25])
@pytest.mark.parametrize(("provider", "fault"), [(AWS, "throttle_429"), (AWS, "drop_before"), (AZURE, "drop_after")])
async def test_an_outage_loses_nothing_in_silence(world: World, provider: str, fault: str, hours: int) -> None:
    """The provider is out of reach from an hour with usage on; afterwards the cents that it counts, and those that a
    person must look after, are the invoice's total to the cent."""
    await world.account(provider, price="0.00333333", settings=SETTINGS[provider])
    start = NOVEMBER - 40 * HOUR
    alarms: set[SlotAlarm] = set()
    for hour in (0, 1, 2, 4, *(hour for hour in (11, 17, 24) if hour < hours), hours, hours + 1, hours + 2):
        world.sandbox.set_clock(start + hour * HOUR)
        if hour == 1:
            world.sandbox.fault(provider, fault, times=None)
        await world.use(1001, at=world.now - timedelta(minutes=1))
        if hour == hours:
            # Lost answers are asked for again every five minutes; here just before the outage was so many hours long.
            world.sandbox.move(minutes=50)
            world.sandbox.reset("faults")
        await world.sweep()
        alarms |= {
            alarm_of(slot.status, since=slot.created_at, deadline=slot.deadline, now=world.now)
            for slot in await world.slots()
        }
    world.sandbox.set_clock(NOVEMBER + timedelta(days=1))
    await world.finalize()
    for _ in range(2):
        await world.sweep()
        world.sandbox.move(hours=1)
    [invoice] = await world.invoices()
    [delivery] = await world.deliveries()
    waiting = sum(int(slot.quantity) for slot in await world.slots() if slot.status == SlotStatus.NEEDS_ATTENTION)
    assert alarms >= ({SlotAlarm.CLOSING} if hours > 12 else set())
    assert bool(waiting) == (hours == 25 and fault != "throttle_429"), "lost answers become a person's after the window"
    if waiting:
        assert SlotAlarm.MISSED in alarms
        assert (delivery.status, delivery.error_code) == (DeliveryStatus.NEEDS_ATTENTION, "OUT_OF_WINDOW")
        waiting = 0 if fault == "drop_after" else waiting
    else:
        assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, invoice.total)
    assert world.sandbox.metered(provider) + waiting == int(invoice.total * 100)


@pytest.mark.parametrize(
    ("point", "action"),
    [
        ("marketplaces.activated", "activate"),
        ("marketplaces.looked", "Unsubscribe"),
        ("metering.called", "Unsubscribe"),
        ("marketplaces.answered", "ChangePlan"),
    ],
)
async def test_a_worker_killed_at_any_step_leaves_the_same(
    street: Street, world: World, point: str, action: str
) -> None:
    bought = street.order("azure/subscriptions")
    await street.land(bought["token"])
    await street.link()
    await world.use(100, at=NOON - HOUR)
    if action != "activate":
        await street.follow()
        sent = street.order("azure/operations", subscription=bought["subscription"]["id"], action=action, planId="gold")
        headers = {"authorization": sent["authorization"]}
        await street.http.post("/webhooks/azure-marketplace/azure-sandbox", json=sent["body"], headers=headers)
    code, output = world.run("worker", failpoint=point)
    assert code == -signal.SIGKILL, output
    for _ in range(2):
        await street.follow()
        await street.handle()
        await world.sweep()
    row = await street.row()
    assert (row.state, row.plan) == {
        "activate": ("ACTIVE", "standard"), "Unsubscribe": ("ENDED", "standard"), "ChangePlan": ("ACTIVE", "gold"),
    }[action]  # fmt: skip
    assert world.sandbox.metered(AZURE) == 100
    assert {slot.status for slot in await world.slots()} == {SlotStatus.ACCEPTED}


async def test_the_books_tell_of_usage_after_the_last_call(street: Street, world: World) -> None:
    how_many, how_many_broken = RULES["no usage is planned for a buyer whose agreement has had its last call"]
    await world.account(AWS, settings=SETTINGS[AWS])
    await world.use(100, at=NOON - HOUR)
    await street.tell_aws(event(DEPROVISIONED, NOON - timedelta(minutes=30)))
    await street.handle()
    assert (await street.count(how_many), await street.count(how_many_broken)) == (1, 0)
    assert world.sandbox.metered(AWS) == 100
    async with world.store.transaction() as session:
        await session.execute(text("update marketplace_subscriptions set metering_until = created_at"))
    assert await street.count(how_many_broken) == 1


async def test_a_notice_that_cannot_be_looked_at_keeps_none_after_it_waiting(
    street: Street, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.account(AWS, settings=SETTINGS[AWS])
    await world.use(40, at=NOON - HOUR)
    connector: Any = world.connections.find("aws-sandbox").connector  # type: ignore[union-attr]
    look = connector.look

    async def refuse(payload: Any) -> Any:
        if payload["event"] == "License Updated":
            raise Terminal("AUTHENTICATION", "AWS: entitlements may not be read")
        return await look(payload)

    monkeypatch.setattr(connector, "look", refuse)
    await street.tell_aws(event(UPDATED, NOON - HOUR))
    await street.tell_aws(event(DEPROVISIONED, NOON, number=2))
    await street.handle()
    assert ((await street.row()).state, world.sandbox.metered(AWS)) == ("ENDED", 40)
    assert await street.count("select count(*) from provider_notices where state = 'RECEIVED'") == 1


async def test_subscriptions_of_a_removed_account_keep_no_others_waiting(
    street: Street, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = street.order("azure/subscriptions")
    await street.land(bought["token"])
    await street.link()
    async with world.store.transaction() as session:
        row = await street.row()
        gone = {"id": new_id(), "connection": "removed", "billing_configuration_id": None, "customer_id": None}
        session.add(
            MarketplaceSubscription(**{**row.model_dump(), **gone, "state": "ACTIVE", "refreshed_at": NOON - 90 * HOUR})
        )
    monkeypatch.setattr(marketplaces, "LIMIT", 1)
    await street.follow()
    assert {row.connection: row.state for row in await street.rows()} == {
        "removed": "ACTIVE",
        "azure-sandbox": "ACTIVE",
    }


async def test_a_plan_that_is_left_out_is_still_the_plan(street: Street, world: World) -> None:
    bought = street.order("azure/subscriptions")
    await street.land(bought["token"])
    await street.link()
    connection = world.connections.find("azure-sandbox")
    assert connection is not None
    view = to_view(await street.row())
    plan = view.settings["planId"]
    async with world.store.transaction() as session:
        await observe(session, connection, replace(view, settings={**view.settings, "planId": ""}), now=world.now)
    assert (await street.row()).settings["planId"] == plan


async def test_an_account_that_hangs_keeps_no_others_notices_waiting(
    street: Street, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of an agreement at AWS is told while Stripe hangs; the last call lasts an hour."""
    await world.account(AWS, settings=SETTINGS[AWS])
    await world.use(40, at=NOON - HOUR)
    stripe = world.connections.find("stripe-sandbox")
    assert stripe is not None
    asked, over = asyncio.Event(), asyncio.Event()

    async def hang(reference: str) -> Any:
        asked.set()
        await over.wait()
        raise Transient("no answer")

    monkeypatch.setattr(stripe.connector, "status", hang)
    async with world.store.transaction() as session:
        for number in (1, 2):
            notice = Notification(
                event_id=f"evt_{number}", kind="invoice.paid", occurred_at=NOON, provider_reference=f"in_{number}"
            )
            await receive(session, stripe, notice, way=Way.WEBHOOK, now=NOON)
    hanging = asyncio.create_task(street.handle())
    await asked.wait()
    await street.tell_aws(event(DEPROVISIONED, NOON))
    async with asyncio.timeout(10):
        assert await street.handle() == 1
    assert ((await street.row()).state, world.sandbox.metered(AWS)) == ("ENDED", 40)
    over.set()
    assert await hanging == 0


async def test_more_accounts_than_connections_to_the_database(world: World) -> None:
    """Each account is held while its notices are handled, and that takes a connection of the few that there are."""
    one = world.connections.find("stripe-sandbox")
    assert one is not None
    accounts = Connections({f"stripe-{number}": replace(one, name=f"stripe-{number}") for number in range(12)})
    store = await Store(world.store.url, max_connections=6, wait_seconds=1).open()

    async def read(place: Place, subject: Subject) -> NoticeState:
        async with place.store.transaction() as session:
            await session.execute(text("select pg_sleep(0.05)"))
        return NoticeState.IGNORED

    try:
        async with store.transaction() as session:
            for account in accounts.all():
                notice = Notification(
                    event_id="evt_1", kind="invoice.paid", occurred_at=NOON, provider_reference="in_1"
                )
                await receive(session, account, notice, way=Way.WEBHOOK, now=NOON)
        assert await handle_all(Place(store, accounts, lambda: NOON), {"invoice": read}) == 12
    finally:
        await store.close()
