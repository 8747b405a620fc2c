"""The stand-in providers over real loopback HTTP: one server for the run, empty again for each test."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from app.store import embedded
from connectors.base import Connector
from connectors.sandbox.app import create_app
from tests.connectors.world import NOW, MovingClock, Sandbox, make


@pytest.fixture(scope="session")
def running_sandbox(cluster: embedded.Cluster) -> Iterator[Sandbox]:
    """The stand-ins on a port of their own, over a database of their own."""
    name = f"sandbox_{uuid.uuid4().hex}"
    cluster.create_database(name)
    clock = MovingClock()
    app = create_app(cluster.url(name), clock)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the sandbox started"
        time.sleep(0.005)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=base, timeout=20) as http:
        yield Sandbox(base, clock, http)
    server.should_exit = True
    thread.join(timeout=10)
    cluster.drop_database(name)


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """Without effects, calls, faults and keys, at the usual instant."""
    running_sandbox.clock.now = NOW
    running_sandbox.reset("calls", "faults", "keys", "effects")
    return running_sandbox


@pytest.fixture
async def connect(sandbox: Sandbox) -> AsyncIterator[Callable[..., Connector]]:
    """Builds connectors that lead to the sandbox, and closes them afterwards."""
    made: list[Connector] = []

    def build(provider: str, **settings: Any) -> Connector:
        made.append(make(provider, sandbox, **settings))
        return made[-1]

    yield build
    for connector in made:
        await connector.close()
