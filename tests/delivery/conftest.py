"""The stand-in providers in a process of their own, and a seller on a fresh database beside them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.core.terms import Aggregation
from app.store import embedded
from app.store.engine import Store
from tests.delivery.world import NOON, Sandbox, World


@pytest.fixture(scope="session")
def sandbox_process(cluster: embedded.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One process and one database for all tests of this test process."""
    name = f"sandbox_{uuid.uuid4().hex}"
    cluster.create_database(name)
    clock_file = tmp_path_factory.mktemp("sandbox") / "clock"
    clock_file.write_text(NOON.isoformat())
    process = subprocess.Popen(
        [
            sys.executable, "-m", "connectors.sandbox", "--dsn", cluster.url(name), "--port", "0",
            "--clock", str(clock_file),
        ],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    base = process.stdout.readline().decode().strip()
    with httpx.Client(base_url=base, timeout=20) as http:
        yield Sandbox(base, clock_file, http)
    process.terminate()
    process.communicate(timeout=20)
    cluster.drop_database(name)


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """What goes wrong on purpose fills no pages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """Without effects, calls, faults and keys; it is noon on the second of November."""
    sandbox_process.reset("calls", "faults", "keys", "effects")
    sandbox_process.set_clock(NOON)
    return sandbox_process


@pytest.fixture
async def world(store: Store, sandbox: Sandbox) -> AsyncIterator[World]:
    """A seller with one product: units of usage."""
    async with store.transaction() as session:
        metric = await create_metric(session, name="Units", aggregation=Aggregation.SUM, key="n", event_types_in=["call"], now=NOON)  # fmt: skip
        product = await create_product(session, name="Units", metric_id=metric.id, now=NOON)
    connections = sandbox.connections()
    yield World(store, connections, sandbox, product.id)
    await connections.close()
