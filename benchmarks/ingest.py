"""Ingest over HTTP against the ceiling of the same PostgreSQL: prepared COPY text into a table with ON CONFLICT.

The ceiling decodes nothing, measures nothing and fills no buckets; the gateway does all of it, behind HTTP.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

BATCH = 1_000
EVENTS = 40_000
CONNECTIONS = 4
KEY = "mg_bench_" + "k" * 32
STAGE = "create temp table if not exists stage (like usage_ids) on commit delete rows"
TAKE = "insert into usage_ids select * from stage on conflict (transaction_id) do nothing"


async def measure(ceiling_url: str, gateway_url: str) -> dict[str, float]:
    """Events per second of both, and their ratio."""
    now = datetime.now(UTC)
    batches = [_batch(number, now) for number in range(EVENTS // BATCH)]
    ceiling = await _ceiling(ceiling_url, [_copy_text(batch) for batch in batches])
    gateway = await _gateway(gateway_url, [json.dumps(batch).encode() for batch in batches])
    return {
        "COPY + ON CONFLICT, events per second (ceiling)": ceiling,
        "POST /v1/events with one metric, events per second": gateway,
        "ratio to the ceiling": gateway / ceiling,
    }


def _batch(number: int, now: datetime) -> list[dict[str, object]]:
    return [
        {
            "transactionId": f"bench-{number}-{row}",
            "customerId": f"customer-{row % 100}",
            "eventType": "call",
            "timestamp": (now - timedelta(seconds=row % 7200)).isoformat(),
            "properties": {"tokens": str(row), "model": "large", "region": "eu"},
        }
        for row in range(BATCH)
    ]


def _copy_text(batch: list[dict[str, object]]) -> bytes:
    rows = (
        "\t".join(
            (
                str(e["transactionId"]),
                str(e["customerId"]),
                str(e["eventType"]),
                str(e["timestamp"]),
                json.dumps(e["properties"]),
            )
        )
        for e in batch
    )
    return ("\n".join(rows) + "\n").encode()


async def _ceiling(url: str, batches: list[bytes]) -> float:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "create table usage_ids (transaction_id text primary key, customer_id text, event_type text,"
            " occurred_at timestamptz, properties jsonb)"
        )
    queue = list(batches)

    async def worker() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            while queue:
                rows = queue.pop()
                async with connection.transaction():
                    await connection.execute(STAGE)
                    async with connection.cursor() as cursor, cursor.copy("copy stage from stdin") as copy:
                        await copy.write(rows)
                    await connection.execute(TAKE)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return EVENTS / (time.perf_counter() - started)


async def _gateway(url: str, bodies: list[bytes]) -> float:
    async with serving(url) as client:
        await _add_metric(client)
        queue = list(bodies)

        async def worker() -> None:
            while queue:
                answer = await client.post("/v1/events", content=queue.pop())
                assert answer.status_code == 200, answer.text
                assert answer.json()["accepted"] == BATCH, answer.text

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        return EVENTS / (time.perf_counter() - started)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A server in a process of its own, without a worker, and a client with its key."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environ = {
        **os.environ, "DATABASE_URL": url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_BOOTSTRAP_KEY": KEY,
        "METROGRAPH_LOG_LEVEL": "error",
    }  # fmt: skip
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--no-worker", env=environ
    )
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            await _ready(client)
            yield client
    finally:
        server.send_signal(signal.SIGTERM)
        await server.wait()


async def _ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise RuntimeError("the server did not become ready")


async def _add_metric(client: httpx.AsyncClient) -> None:
    document = """mutation { billableMetricCreate(input: {name: "tokens", aggregation: SUM, aggregationKey: "tokens",
        eventTypes: ["call"]}) { userErrors { message } } }"""
    answer = await client.post("/graphql", json={"query": document})
    assert answer.json()["data"]["billableMetricCreate"]["userErrors"] == [], answer.text
