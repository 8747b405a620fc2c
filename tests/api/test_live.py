"""Subscriptions over WebSocket and server-sent events: two servers on one database, each with subscribers of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from app.actor import system
from app.alerts.touched import evaluate_touched
from app.clock import Clock
from app.delivery.registry import Connections
from app.delivery.service import open_deliveries
from app.graphql import live
from app.invoices import run as billing_run
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from app.store.listening import CHANNEL, Change, Listener
from tests.api import accounts
from tests.api.conftest import BOOTSTRAP, Api
from tests.api.serving import served
from tests.api.test_alerts import made
from tests.api.test_http_websocket import PROTOCOL, close_code, receive, send
from tests.api.test_invoices import drafts_of, finalized, seller
from tests.api.test_usage_ingest import event, ingest

INVOICES = "subscription ($customer: ID) { invoiceChanged(customerId: $customer) { id status total { amount } } }"
DELIVERIES = 'subscription { deliveryChanged(provider: "stripe") { id status total { amount } invoice { id } } }'
ALERTS = "subscription { alertTransitions { before after value alert { name } } }"
SPEND = """subscription ($customer: ID!) { customerSpend(customerId: $customer) {
  charges { amount currency } totals { amount } statements { id } } }"""
JOB = "subscription ($id: ID!) { jobProgress(id: $id) { id status done total } }"
VOID = 'mutation ($id: ID!) { invoiceVoid(id: $id, reason: "wrong") { invoice { status } userErrors { code } } }'
CANCEL = 'mutation ($id: ID!) { deliveryCancel(id: $id, reason: "void") { userErrors { code } } }'
KILL_LISTENERS = text(
    "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and datname = current_database()"
)
RUN = "mutation { invoicesFinalizeDue { job { id } userErrors { code } } }"


class Events:
    """What one subscription says, over whichever protocol; `next` fails when nothing comes."""

    def __init__(self, results: AsyncIterator[dict[str, Any]]) -> None:
        self._results = results

    async def next(self) -> Any:
        result = await asyncio.wait_for(anext(self._results), 10)
        assert "errors" not in result, result
        [value] = result["data"].values()
        return value

    async def error(self) -> str:
        """The code with which the stream ends."""
        result = await asyncio.wait_for(anext(self._results), 10)
        assert await self.over(), "an error is the last word"
        return result["errors"][0]["extensions"]["code"]

    async def over(self) -> bool:
        """Whether nothing more will be said."""
        return await asyncio.wait_for(anext(self._results, None), 10) is None

    async def silent(self) -> bool:
        """Whether nothing more is said for a moment."""
        waiting = asyncio.ensure_future(anext(self._results))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return not done


@asynccontextmanager
async def by_events(host: str, document: str, *, key: str = BOOTSTRAP, **variables: Any) -> AsyncIterator[Events]:
    """A subscription over server-sent events, heard from now on."""
    headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
    body = {"query": document, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("POST", f"http://{host}/graphql", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        lines = response.aiter_lines()
        assert await anext(lines) == ":", "the stream says that it has begun"
        yield Events(_results(lines))


async def _results(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line == "event: complete":
            return
        if line.startswith("data: "):
            yield json.loads(line[6:])


@asynccontextmanager
async def by_socket(
    host: str, document: str, *, key: str = BOOTSTRAP, **variables: Any
) -> AsyncIterator[tuple[Events, ClientConnection]]:
    """The same over WebSocket."""
    async with connect(f"ws://{host}/graphql", subprotocols=[PROTOCOL]) as connection:
        await send(connection, {"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})
        assert (await receive(connection))["type"] == "connection_ack"
        payload = {"query": document, "variables": variables}
        await send(connection, {"type": "subscribe", "id": "1", "payload": payload})

        async def results() -> AsyncIterator[dict[str, Any]]:
            while True:
                message = json.loads(await connection.recv())
                if message["type"] == "complete":
                    return
                yield message["payload"] if message["type"] == "next" else {"errors": message["payload"]}
                if message["type"] == "error":
                    return

        yield Events(results()), connection


async def heard_by(store: Store, count: int) -> None:
    """Wait until so many subscriptions of a server are heard; nothing tells a client of a WebSocket."""
    async with asyncio.timeout(10):
        while len(store.listener._subscriptions) < count or not store.listener._listening.is_set():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@pytest.fixture
async def stores(store: Store, database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Of two servers of one deployment; the first is that of the `api` fixture."""
    other = await Store(database_url, max_connections=10).open()
    yield store, other
    await other.close()


@pytest.fixture
async def hosts(
    app: Starlette, stores: tuple[Store, Store], settings: Settings, now: datetime
) -> AsyncIterator[tuple[str, str]]:
    """Two servers."""
    other = create_app(settings, stores[1], Clock(now.isoformat()))
    async with served(app) as first, served(other) as second:
        yield first, second


@pytest.fixture
async def providers(now: datetime) -> AsyncIterator[Connections]:
    """Accounts to which nothing is sent."""
    opened = accounts.connections(now)
    yield opened
    await opened.close()


@pytest.fixture
def app(settings: Settings, store: Store, providers: Connections, now: datetime) -> Starlette:
    """The application with provider accounts."""
    return create_app(settings, store, Clock(now.isoformat()), providers=providers)


async def test_both_servers_tell_each_change_once(
    api: Api, hosts: tuple[str, str], stores: tuple[Store, Store], providers: Connections, now: datetime
) -> None:
    sold = await seller(api)
    await made(api, name="spent", threshold="0")
    customer, here, there = sold["customer"]["id"], *hosts
    [october, _] = await drafts_of(api, contract=sold["contract"]["id"])
    run = (await api(RUN))["invoicesFinalizeDue"]["job"]
    async with (
        by_socket(here, INVOICES) as (one, _),
        by_events(there, INVOICES, customer=customer) as two,
        by_events(here, DELIVERIES) as sent,
        by_socket(there, ALERTS) as (alarmed, _),
        by_events(there, JOB, id=run["id"]) as job,
    ):
        await heard_by(stores[0], 2)
        await heard_by(stores[1], 3)
        assert (await job.next())["status"] == "QUEUED"
        await finalized(api, october["id"])
        async with stores[1].transaction() as session:
            await open_deliveries(session, providers, now=now)
        final = {"id": october["id"], "status": "FINALIZED", "total": {"amount": "1.25"}}
        assert await one.next() == await two.next() == final
        told = await sent.next()
        assert (told["status"], told["invoice"]["id"]) == ("PENDING", october["id"])
        await api(VOID, id=october["id"])
        assert (await one.next())["status"] == (await two.next())["status"] == "VOID"
        await api(CANCEL, id=told["id"])
        assert (await sent.next())["status"] == "CANCELED"
        await billing_run.work(stores[0], UUID(hex=run["id"][4:]), actor=system("billing"), now=now)
        seen = [await job.next()]
        while seen[-1]["status"] == "RUNNING":
            seen.append(await job.next())
        assert (seen[-1]["status"], seen[-1]["done"]) == ("SUCCEEDED", seen[-1]["total"])
        assert await job.over(), "a finished job has no more to tell"
        await evaluate_touched(stores[0], now=now)
        changed = await alarmed.next()
        assert (changed["before"], changed["after"], changed["alert"]) == ("EVALUATING", "IN_ALARM", {"name": "spent"})
        for events in (one, two, sent, alarmed):
            assert await events.silent()


async def test_spend_is_live_for_the_customer_itself(
    api: Api, hosts: tuple[str, str], stores: tuple[Store, Store]
) -> None:
    sold = await seller(api)
    customer, here, there = sold["customer"]["id"], *hosts
    token = (await api.with_scopes("invoices:read", customerId=customer)).key
    async with (
        by_events(there, SPEND, key=token, customer=customer) as spend,
        by_socket(here, SPEND, customer=customer) as (same, _),
        by_events(there, INVOICES, key=token) as invoices,
    ):
        first = await spend.next()
        assert first == await same.next()
        assert (first["charges"], first["totals"]) == ([{"amount": "0.5", "currency": "USD"}], [{"amount": "0.5"}])
        await heard_by(stores[0], 1)
        await ingest(api, event("9", timestamp="2026-11-01T11:00:00Z", properties={"n": "3", "region": "us"}))
        for watched in (spend, same):
            assert (await watched.next())["totals"] == [{"amount": "2"}]
        # A change that is rolled back, or says the same, is not told; what belongs to others neither.
        async with stores[0].transaction() as session:
            await session.execute(text("update customers set name = name || '!'"))
        assert await spend.silent()
        assert await invoices.silent()
    stranger = (await api.with_scopes("invoices:read", customerId=(await seller_beside(api)))).key
    for variables in ({"customer": customer}, {"customer": f"cus_{'0' * 32}"}):
        assert stranger is not None
        [error] = await refused(here, SPEND, stranger, variables)
        assert (error["extensions"]["code"], error["message"].split()[0]) == ("NOT_FOUND", "Customer")


async def seller_beside(api: Api) -> str:
    answer = await api('mutation { customerCreate(input: {name: "other"}) { customer { id } } }')
    return answer["customerCreate"]["customer"]["id"]


async def refused(host: str, document: str, key: str, variables: Any, **headers: str) -> list[dict[str, Any]]:
    sent = {"authorization": f"Bearer {key}", "accept": "text/event-stream", **headers}
    async with httpx.AsyncClient() as http:
        body = {"query": document, "variables": variables}
        response = await http.post(f"http://{host}/graphql", json=body, headers=sent)
    assert response.status_code in (400, 401, 403, 404, 406, 429), response.text
    return response.json()["errors"]


async def test_who_may_hear_what_and_how_a_stream_ends(
    api: Api, hosts: tuple[str, str], stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, store = hosts[0], stores[0]
    reader = await api.with_scopes("invoices:read")
    own = await api.with_scopes("invoices:read", "alerts:read", customerId=await seller_beside(api))
    assert reader.key
    assert own.key
    cases = (
        (ALERTS, reader.key, {}, "FORBIDDEN"),
        (ALERTS, own.key, {}, "FORBIDDEN"),
        (INVOICES, "wrong", {}, "UNAUTHENTICATED"),
        (JOB, reader.key, {"id": "job_1"}, "NOT_FOUND"),
        (SPEND, reader.key, {}, "BAD_USER_INPUT"),
        (SPEND, reader.key, {"customer": "x"}, "BAD_USER_INPUT"),
        ("subscription { invoiceChanged { nothing } }", reader.key, {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: invoiceChanged { id } b: invoiceChanged { id } }", reader.key, {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { invoiceChanged {" + " contract { customer { contracts { nodes { invoices { nodes {" * 3, reader.key,
         {}, "GRAPHQL_PARSE_FAILED"),
    )  # fmt: skip
    for document, key, variables, code in cases:
        assert {error["extensions"]["code"] for error in await refused(here, document, key, variables)} == {code}
    [error] = await refused(here, INVOICES, reader.key, {}, accept="application/json")
    assert "text/event-stream" in error["message"]
    both = "application/json, text/event-stream"
    async with httpx.AsyncClient() as http, http.stream(
        "GET", f"http://{here}/graphql", params={"query": INVOICES}, headers={"authorization": f"Bearer {reader.key}", "accept": both}
    ) as response:  # fmt: skip
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in response.headers

    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    async with (
        by_events(here, INVOICES, key=reader.key) as revoked,
        by_socket(here, INVOICES) as (lost, _),
        by_socket(here, INVOICES) as (slow, _),
        by_socket(here, "{ __typename }") as (query, _),
    ):
        assert await query.next() == "Query"
        await heard_by(store, 3)
        async with store.transaction() as session:
            await session.execute(text("update api_keys set revoked_at = created_at where name = 'test'"))
        assert await revoked.error() == "UNAUTHENTICATED"
        slowest = next(iter(store.listener._subscriptions))
        for number in range(257):
            slowest.hear(Change("invoice", UUID(int=number)))
        ends = [asyncio.ensure_future(events.error()) for events in (lost, slow)]
        [first], [rest] = await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert first.result() == "LIMIT_EXCEEDED"
        async with store.transaction() as session:
            await session.execute(KILL_LISTENERS)
        assert await asyncio.wait_for(rest, 10) == "UNAVAILABLE"


async def test_a_connection_carries_some_operations_and_a_server_some_subscriptions(
    hosts: tuple[str, str], stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores[0].listener, "_at_most", 20)
    async with by_socket(hosts[0], INVOICES) as (_, connection):
        for number in range(2, 22):
            payload = {"query": INVOICES}
            await send(connection, {"type": "subscribe", "id": str(number), "payload": payload})
        refusal = await receive(connection)
        assert (refusal["type"], refusal["id"]) == ("error", "21")
        assert refusal["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await heard_by(stores[0], 20)
        [error] = await refused(hosts[0], INVOICES, BOOTSTRAP, {})
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        await send(connection, {"type": "complete", "id": "7"})
        async with asyncio.timeout(10):
            while len(stores[0].listener._subscriptions) > 19:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await send(connection, {"type": "subscribe", "id": "1", "payload": {"query": INVOICES}})
        assert await close_code(connection) == 4409


async def test_a_state_is_read_again_after_the_connection_was_lost(store: Store, database_url: str) -> None:
    listener = Listener(database_url)
    async with listener.subscribe(lambda _: True, is_state=True) as state:
        assert await state.next(wait_seconds=0.05) in (True, False)
        async with store.transaction() as session:
            await session.execute(text(f"select pg_notify('{CHANNEL}', 'nonsense'), pg_notify('{CHANNEL}', 'a b c d')"))
            await session.execute(text(f"select pg_notify('{CHANNEL}', 'job {UUID(int=1)}')"))
        assert await state.next(wait_seconds=10) == Change("job", UUID(int=1))
        async with store.transaction() as session:
            await session.execute(KILL_LISTENERS)
        assert await state.next(wait_seconds=10) is True, "it is heard again, and what was missed is read"
        async with store.transaction() as session:
            await session.execute(text(f"select pg_notify('{CHANNEL}', 'job {UUID(int=2)}')"))
            await session.execute(text(f"select pg_notify('{CHANNEL}', 'job {UUID(int=3)}')"))
        assert await state.next(wait_seconds=10) in (Change("job", UUID(int=2)), Change("job", UUID(int=3)))
    await listener.close()
    gone = Listener("postgresql://127.0.0.1:1/none", wait_seconds=0.2)
    with pytest.raises(Exception, match="cannot be listened to"):
        async with gone.subscribe(lambda _: True):
            pass
    await gone.close()
