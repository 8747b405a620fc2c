"""Webhooks of Stripe: taken in once, in any order, answered at once, and what they lead to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import signal
import socket
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import text
from starlette.applications import Starlette

from app.clock import Clock
from app.delivery.actions import cancel
from app.delivery.inbound import Place, handle_all
from app.delivery.notice_sweep import sweep_notices
from app.delivery.service import deliver
from app.delivery.tables import Delivery
from app.invoices.voiding import void_invoice
from app.web_notices import MAX_BODY, notice_routes
from app.worker import NOTICE_HANDLERS
from tests.delivery.world import HOUR, NOVEMBER, World

PATH = "/webhooks/stripe/stripe-sandbox"
SECRET = "whsec_sandbox"
BEARER = {"authorization": "Bearer sk_test_person"}


def event(number: int, kind: str, subject: dict[str, Any], *, at: datetime, **more: Any) -> bytes:
    data = {"id": f"evt_{number}", "object": "event", "type": kind, "created": int(at.timestamp()), **more}
    return json.dumps({"data": {"object": subject}, **data}).encode()


def signed(body: bytes, *, at: datetime, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={digest},v0=00"}


class Door:
    """The webhook route of a world, and the job behind it."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http

    async def post(self, body: bytes, **more: Any) -> httpx.Response:
        headers = more.pop("headers", None) or signed(body, at=self.world.now)
        return await self.http.post(more.pop("path", PATH), content=body, headers=headers)

    async def tell(self, number: int, kind: str, subject: dict[str, Any]) -> None:
        body = event(number, kind, subject, at=self.world.now)
        answer = await self.post(body)
        assert (answer.status_code, answer.json()["received"]) == (200, True), answer.text

    async def handle(self) -> int:
        place = Place(self.world.store, self.world.connections, self.world.sandbox.now)
        return await handle_all(place, NOTICE_HANDLERS, at_once=True)

    async def rows(self, query: str) -> list[Any]:
        async with self.world.store.transaction() as session:
            return list((await session.execute(text(query))).all())

    async def states(self) -> list[tuple[str, str | None]]:
        found = await self.rows("select provider_status, payment from external_invoice_states order by id")
        return [(row[0], row[1]) for row in found]

    async def delivery(self) -> Delivery:
        [found] = await self.world.deliveries()
        return found

    def at_stripe(self, method: str, path: str, **form: str) -> None:
        assert self.world.sandbox.http.request(method, f"/v1/invoices/{path}", headers=BEARER, data=form).is_success


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    clock = Clock(str(world.sandbox.clock_file))
    app = Starlette(routes=notice_routes(world.store, clock, world.connections))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as http:
        yield Door(world, http)


async def delivered(door: Door, **terms: Any) -> dict[str, Any]:
    """One open invoice at Stripe."""
    await door.world.account("stripe", **terms)
    await door.world.use(1234, at=NOVEMBER - HOUR)
    await door.world.finalize()
    await door.world.sweep()
    [invoice] = door.world.sandbox.effects("stripe")
    return {"object": "invoice", **invoice}


async def test_what_is_not_genuine_is_refused_in_few_words(door: Door) -> None:
    at = door.world.now
    good = event(1, "invoice.paid", {"id": "in_1"}, at=at)
    late, soon = at - timedelta(seconds=301), at + timedelta(seconds=301)
    refused = {
        "no signature": {"headers": {"x": "y"}},
        "a foreign secret": {"headers": signed(good, at=at, secret="whsec_other")},
        "an old time": {"headers": signed(good, at=late)},
        "a future time": {"headers": signed(good, at=soon)},
        "an altered byte": {"headers": signed(good + b" ", at=at)},
        "another scheme": {
            "headers": {"Stripe-Signature": signed(good, at=at)["Stripe-Signature"].replace("v1", "v2")}
        },
    }
    for name, how in refused.items():
        answer = await door.post(good, **how)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "SIGNATURE"), name
        assert SECRET not in answer.text
    for body in (b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"id":"e","type":"t","created":1e99,"data":{"object":{}}}',
                 b'{"id":"e\\u0000","type":"t","created":1,"data":{"object":{}}}',
                 b'{"id":"e","type":"t","created":"2026-11-02T00:00:00","data":{"object":{}}}'):  # fmt: skip
        answer = await door.post(body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "BAD_NOTICE"), body[:60]
    assert (await door.post(b" " * (MAX_BODY + 1))).status_code == 413
    for path in ("/webhooks/stripe/other", "/webhooks/aws-marketplace/stripe-sandbox"):
        assert (await door.post(good, path=path)).status_code == 404
    assert await door.rows("select 1 from provider_notices") == []


async def test_a_hundred_duplicated_and_shuffled_notices_have_one_effect(door: Door) -> None:
    invoice = await delivered(door)
    door.at_stripe("POST", f"{invoice['id']}/pay")
    kinds = ["invoice.created", "invoice.finalized", "invoice.sent", "invoice.paid", "invoice.payment_succeeded"]
    bodies = [event(n, kind, invoice, at=door.world.now) for n, kind in enumerate(kinds * 4)] * 5
    random.Random(7).shuffle(bodies)
    calls = door.world.sandbox.calls()
    slowest = 0.0
    for body in bodies:
        started = time.monotonic()
        assert (await door.post(body)).status_code == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1
    assert door.world.sandbox.calls() == calls, "the door calls nobody"
    assert await door.rows("select count(*) from procrastinate_jobs where task_name = 'notices.handle'") == [(1,)]
    assert await door.handle() == 20
    assert await door.handle() == 0
    assert await door.states() == [("paid", "PAID")]
    assert door.world.sandbox.calls() == calls + 1
    assert await door.rows("select state, count(*) from provider_notices group by 1") == [("HANDLED", 20)]
    found = await door.rows(
        "select actor_kind, actor_name, object_kind, after from audit_entries where action = 'external_invoice.observe'"
    )
    [(kind, name, about, after)] = [tuple(row) for row in found]
    assert (kind, name, about, after["payment"]) == ("provider", "stripe-sandbox", "delivery", "PAID")
    # Told once more by Stripe days later: known, and nothing happens.
    assert (await door.post(bodies[0])).json() == {"received": True, "duplicate": True}
    assert await door.handle() == 0


async def test_every_order_ends_the_same(door: Door) -> None:
    invoice = await delivered(door)
    door.at_stripe("POST", f"{invoice['id']}/void")
    kinds = ("invoice.created", "invoice.finalized", "invoice.paid", "invoice.voided")
    for number, order in enumerate(permutations(kinds)):
        for place, kind in enumerate(order):
            await door.tell(10 * number + place, kind, invoice)
            if number % 3:
                await door.handle()
        await door.handle()
        assert await door.states() == [("void", "FAILED")], order
    assert (await door.delivery()).provider_status == "void"


async def test_what_concerns_nothing_of_ours_is_taken_and_ignored(door: Door) -> None:
    invoice = await delivered(door)
    calls = door.world.sandbox.calls()
    foreign = {"id": "in_theirs", "object": "invoice", "metadata": {}}
    await door.tell(1, "charge.dispute.funds_withdrawn", {"id": "dp_1", "object": "dispute"})
    await door.tell(2, "invoice.paid", foreign)
    await door.tell(3, "some.new_kind", {"id": "x"})
    assert await door.handle() == 3
    assert door.world.sandbox.calls() == calls
    # One that names an invoice by its id alone is read back before it is ignored.
    await door.tell(4, "invoice_payment.paid", {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_theirs"})
    assert await door.handle() == 1
    assert door.world.sandbox.calls() == calls + 1
    assert {row[0] for row in await door.rows("select state from provider_notices")} == {"IGNORED"}
    # Another API version, a thin event: the object is read again, so the shape does not matter.
    body = event(5, "invoice.updated", {"id": invoice["id"]}, at=door.world.now, api_version="2019-01-01")
    assert (await door.post(body)).status_code == 200
    thin = {"id": "evt_6", "type": "v1.invoice.paid", "created": door.world.now.isoformat(), "object": "v2.core.event",
            "related_object": {"id": invoice["id"], "type": "invoice"}}  # fmt: skip
    assert (await door.post(json.dumps(thin).encode())).status_code == 200
    assert await door.handle() == 2
    assert await door.states() == [("open", "OPEN")]


async def test_a_notice_that_comes_before_our_receipt_finds_its_delivery(door: Door) -> None:
    door.world.sandbox.fault("stripe", "drop_after", match="finalize")
    await door.world.account("stripe")
    await door.world.use(1234, at=NOVEMBER - HOUR)
    await door.world.finalize()
    await door.world.sweep()
    [invoice] = door.world.sandbox.effects("stripe")
    assert (await door.delivery()).provider_reference is None
    door.at_stripe("POST", f"{invoice['id']}/pay")
    subject = {"id": "inpay_1", "object": "invoice_payment", "invoice": invoice["id"]}
    await door.tell(1, "invoice_payment.paid", subject)
    assert await door.handle() == 1
    assert await door.states() == [("paid", "PAID")]
    await door.world.sweep()
    assert (await door.delivery()).status == "DELIVERED"
    assert len(door.world.sandbox.effects("stripe")) == 1


async def test_what_cannot_be_read_is_tried_again(door: Door) -> None:
    invoice = await delivered(door)
    await door.tell(1, "invoice.updated", invoice)
    door.world.sandbox.fault("stripe", "refuse_500", match="invoices.retrieve")
    assert await door.handle() == 0
    [(state, attempts, code, due)] = await door.rows(
        "select state, attempts, error_code, next_attempt_at from provider_notices"
    )
    assert (state, attempts, code) == ("RECEIVED", 1, "TRANSIENT")
    assert due > door.world.now
    assert await door.handle() == 1
    assert await door.states() == [("open", "OPEN")]


@pytest.mark.parametrize("void_here", [False, True], ids=["settled elsewhere", "void here too"])
async def test_an_invoice_voided_at_stripe_alone_needs_attention(door: Door, void_here: bool) -> None:
    invoice = await delivered(door)
    door.at_stripe("POST", f"{invoice['id']}/void")
    await door.tell(1, "invoice.voided", invoice)
    await door.handle()
    found = await door.delivery()
    assert (found.status, found.error_code, found.acknowledged) == ("NEEDS_ATTENTION", "VOIDED_AT_PROVIDER", 0)
    async with door.world.store.transaction() as session:
        if void_here:
            await void_invoice(session, found.invoice_id, reason="wrong", in_provider=True, now=door.world.now)
        else:
            await cancel(session, found.id, reason="paid by wire", now=door.world.now)
    await door.world.sweep()
    assert (await door.delivery()).status == "CANCELED"


async def test_our_own_void_is_no_surprise(door: Door) -> None:
    invoice = await delivered(door)
    found = await door.delivery()
    async with door.world.store.transaction() as session:
        await void_invoice(session, found.invoice_id, reason="wrong", in_provider=True, now=door.world.now)
    await door.world.sweep()
    await door.tell(1, "invoice.voided", invoice)
    await door.handle()
    assert (await door.delivery()).status == "CANCELED"
    assert await door.states() == [("void", "FAILED")]


async def sweep(door: Door) -> int:
    return await sweep_notices(Place(door.world.store, door.world.connections, door.world.sandbox.now))


async def test_the_nightly_sweep_finds_what_was_missed(door: Door) -> None:
    invoice = await delivered(door)
    door.world.sandbox.move(minutes=1)
    assert await sweep(door) == 4  # The first one of all reads every open invoice back as well.
    await door.handle()
    assert await door.states() == [("open", "OPEN")]
    door.at_stripe("POST", f"{invoice['id']}/pay")
    door.world.sandbox.move(days=1)
    assert await sweep(door) == 1
    assert await sweep(door) == 0
    assert await door.handle() == 1
    assert await door.states() == [("open", "OPEN"), ("paid", "PAID")]
    # What came as a webhook meanwhile is not taken in again.
    [told] = await door.rows("select event_id, way from provider_notices where kind = 'invoice.paid'")
    assert told[1] == "sweep"
    again = json.dumps({"id": told[0], "type": "invoice.paid", "created": 1, "data": {"object": invoice}}).encode()
    assert (await door.post(again)).json()["duplicate"]
    door.world.sandbox.move(days=100)
    assert await sweep(door) == 0
    assert await door.rows("select 1 from provider_notices") == []


async def test_a_sweep_that_breaks_off_goes_on_and_a_long_silence_reads_all_back(door: Door) -> None:
    invoice = await delivered(door)
    door.world.sandbox.move(minutes=1)
    door.world.sandbox.fault("stripe", "refuse_500", match="events.list", after=1)
    assert await sweep(door) == 1
    assert await sweep(door) == 3
    await door.handle()
    door.at_stripe("POST", f"{invoice['id']}/pay")
    door.world.sandbox.move(days=40)
    assert await sweep(door) == 1
    await door.handle()
    assert (await door.states())[-1] == ("paid", "PAID")


async def test_stripe_sends_its_events_over_http(world: World) -> None:
    """The stand-in posts a hundred signed webhooks, doubled and shuffled, to a real server."""
    clock = Clock(str(world.sandbox.clock_file))
    app = Starlette(routes=notice_routes(world.store, clock, world.connections))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient() as http:
            door = Door(world, http)
            invoice = await delivered(door)
            door.at_stripe("POST", f"{invoice['id']}/pay")
            url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
            order = {"url": url, "copies": 25, "seed": 3}
            answer = await asyncio.to_thread(world.sandbox.http.post, "/_sandbox/stripe/send", json=order)
            assert (answer.json()["sent"], answer.json()["statuses"]) == (100, [200])
            assert answer.json()["slowestSeconds"] < 1
            order = {"url": url, "skew": 301}
            late = await asyncio.to_thread(world.sandbox.http.post, "/_sandbox/stripe/send", json=order)
            assert late.json()["statuses"] == [400]
            assert await door.handle() == 4
            assert await door.states() == [("paid", "PAID")]
        server.should_exit = True
        await serving


async def test_one_customer_of_stripe_is_served_by_one_worker_at_a_time(door: Door) -> None:
    """Two customers of ours, and so two configurations, lead to the same customer there."""
    for name in ("acme", "other"):
        await door.world.account("stripe", name=name)
        await door.world.use(1234, at=NOVEMBER - HOUR, customer=name)
    await door.world.finalize()
    await door.world.open()
    ids = [delivery.id for delivery in await door.world.deliveries()]
    door.world.sandbox.fault("stripe", "slow", match="invoices.create")
    tries = [deliver(door.world.store, door.world.connections, one, clock=door.world.sandbox.now) for one in ids]
    assert sorted(await asyncio.gather(*tries)) == [False, True]
    await door.world.sweep()
    assert [one["total"] for one in door.world.sandbox.effects("stripe")] == [1234, 1234]


@pytest.mark.parametrize("point", ["notices.read_back", "notices.handled"])
async def test_a_worker_killed_over_a_notice_leaves_one_effect(door: Door, point: str) -> None:
    invoice = await delivered(door)
    door.at_stripe("POST", f"{invoice['id']}/pay")
    await door.tell(1, "invoice.paid", invoice)
    code, output = await asyncio.to_thread(lambda: door.world.run("worker", failpoint=point))
    assert code == -signal.SIGKILL, output
    await door.handle()
    assert await door.states() == [("paid", "PAID")]
    assert await door.rows("select state from provider_notices") == [("HANDLED",)]
    assert await door.rows("select count(*) from audit_entries where action = 'external_invoice.observe'") == [(1,)]
