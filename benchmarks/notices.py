"""How long it takes from an accepted event to the notice of the alert that it crossed, under steady usage.

A server in a process of its own takes events at a fixed rate; a worker in this one looks at alerts and sends notices to a
receiver beside it. Counted is how many drafts were rated meanwhile: what alerts cost must not grow with the events.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from app.actor import system
from app.alerts import evaluating
from app.alerts.rules import NewAlert
from app.alerts.service import create_alert
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.clock import Clock
from app.contracts.service import create_contract
from app.core.alerts import AlertType
from app.core.rates import Flat
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.notices.endpoints import create_endpoint
from app.runtime import Runtime
from app.settings import Settings
from app.store.engine import Store
from app.store.ids import to_text
from app.worker import working
from benchmarks.ingest import serving

CUSTOMERS, ALERTS, SECONDS = 50, 4, 15
BATCH, BATCHES_A_SECOND = 200, 10
EACH = BATCH // CUSTOMERS
"""Events of each customer in a batch, worth 1 USD each."""
ACTOR = system("bench")
SETTINGS = Settings(environment="sandbox", allow_private_webhooks=True)


async def measure(url: str) -> dict[str, float]:
    """Milliseconds to a notice, and drafts rated for each event."""
    store = await Store(url).open()
    receiver = await asyncio.start_server(_receive, "127.0.0.1", 0)
    rated = _count_drafts()
    try:
        crossings = await _seller(store, f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/")
        runtime = Runtime(SETTINGS, store, Clock(), Connections({}))
        async with serving(url) as client, working(runtime):
            while await _touches(store):  # noqa: ASYNC110 - what creation asked for comes before time counts
                await asyncio.sleep(0.1)
            rated.clear()
            came.clear()
            started = time.perf_counter()
            accepted = await _use(client)
            seconds = time.perf_counter() - started
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    while len(came) < len(crossings):  # noqa: ASYNC110 - what came is looked at
                        await asyncio.sleep(0.05)
    finally:
        receiver.close()
        await store.close()
    assert came, "no notice came"
    waits = sorted((came[key] - accepted[batch]) * 1000 for key, batch in crossings.items() if key in came)
    events = len(accepted) * BATCH
    return {
        "events accepted per second (2,000 are offered)": events / seconds,
        "alerts that were crossed": len(crossings),
        "of those told, goal: all": len(waits),
        "accepted event to received notice, ms, median": waits[len(waits) // 2],
        "accepted event to received notice, ms, p99, goal under 2,000": waits[len(waits) * 99 // 100],
        "drafts rated per event": sum(rated) / events,
    }


async def _seller(store: Store, url: str) -> dict[tuple[str, str], int]:
    """Customers with alerts that are crossed one after the other; gives the batch that crosses each."""
    now, chance = datetime.now(UTC), random.Random(1)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    crossings: dict[tuple[str, str], int] = {}
    async with store.transaction() as session:
        await create_endpoint(session, SETTINGS, url=url, event_types=["alerts.*"], now=now)
        metric = await create_metric(session, name="n", aggregation="SUM", key="n", event_types_in=["call"], now=now)
        product = await create_product(session, name="calls", metric_id=metric.id, now=now)
        rates = [NewRate(product_id=product.id, rate=Flat(Decimal(1)))]
        card = await create_rate_card(session, name="card", currency="USD", rates=rates, now=now)
        for number in range(CUSTOMERS):
            name = f"customer-{number}"
            customer = await create_customer(session, name=name, external_id=name, now=now)
            await create_contract(
                session, Connections({}), customer_id=customer.id, rate_card_id=card.id, starting_at=month, now=now
            )
            for batch in chance.sample(range(SECONDS * BATCHES_A_SECOND), ALERTS):
                threshold = Decimal((batch + 1) * EACH)
                wanted = NewAlert(
                    name="spend", type=AlertType.SPEND_THRESHOLD_REACHED, threshold=threshold, customer_id=customer.id
                )
                await create_alert(session, wanted, now=now)
                crossings[to_text("customer", customer.id), str(threshold)] = batch
    return crossings


async def _use(client: httpx.AsyncClient) -> list[float]:
    """Send batches at a fixed rate; gives when each was accepted."""
    accepted = [0.0] * (SECONDS * BATCHES_A_SECOND)

    async def send(number: int) -> None:
        answer = await client.post("/v1/events", content=_batch(number))
        assert answer.status_code == 200, answer.text
        accepted[number] = time.perf_counter()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(len(accepted)):
            await asyncio.sleep(max(0.0, started + number / BATCHES_A_SECOND - time.perf_counter()))
            group.create_task(send(number))
    return accepted


def _batch(number: int) -> bytes:
    at = datetime.now(UTC).isoformat()
    return json.dumps(
        [
            {
                "transactionId": f"notice-{number}-{row}", "customerId": f"customer-{row % CUSTOMERS}",
                "eventType": "call", "timestamp": at, "properties": {"n": "1"},
            }
            for row in range(BATCH)
        ]
    ).encode()  # fmt: skip


async def _touches(store: Store) -> int:
    async with store.pool.connection() as connection:
        found = await (await connection.execute("select count(*) from alert_touches")).fetchone()
    return int(found[0]) if found else 0


def _count_drafts() -> list[int]:
    """Drafts that were rated, by evaluation, from now on."""
    counted: list[int] = []
    real = evaluating.evaluate

    async def evaluate(*arguments: Any, **options: Any) -> int:
        counted.append(await real(*arguments, **options))
        return counted[-1]

    evaluating.evaluate = evaluate
    return counted


came: dict[tuple[str, str], float] = {}
"""When the notice of a customer's threshold was received."""


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().lower().split("\r\n")
            [length] = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
            told = json.loads(await reader.readexactly(length))["data"]
            came.setdefault((told["customerId"], told["threshold"]), time.perf_counter())
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
    writer.close()
