"""The crash x fault matrix: every step of every connector, every fault of a provider, a SIGKILL at every point of ours.

Whatever happens, the provider has the money once, our books say so or ask for a person, and a further sync calls nobody.
"""

from __future__ import annotations

import asyncio
import multiprocessing.process
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.core.terms import Aggregation
from app.delivery.states import DeliveryStatus
from app.store import embedded
from app.store.engine import Store
from tests.conftest import TEMPLATE
from tests.delivery.matrix import Place, recover, work, work_and_recover
from tests.delivery.test_routes import fixed
from tests.delivery.world import HOUR, NOON, NOVEMBER, SETTINGS, Sandbox, World
from tests.processes import FORKS

STEPS = {
    "stripe": ("invoices.list", "invoices.create", "invoices.add_lines", "invoices.finalize"),
    "custom": ("webhook",),
    "aws_marketplace": ("BatchMeterUsage",),
    "aws_payments": ("SendAgreementPaymentRequest",),
    "azure_marketplace": ("usageEvent",),
    "gcp_marketplace": ("check", "report"),
    "custom_metering": ("webhook",),
}
FAULTS = (
    *("refuse_500", "refuse_503", "throttle_429", "throttle_bare", "html_200", "error_in_200", "expired"),
    *("drop_before", "drop_after", "reset_before", "reset_after", "forgotten_keys"),
)
POINTS = (None, "intent_committed", "called", "receipt_committed")
HANGING = ("hang_before", "hang_after")
NOBODY = "http://127.0.0.1:1"
"""Where no provider is: the connection is refused."""


@dataclass(frozen=True)
class Run:
    """One run: where it goes wrong at the provider, how, and at which point of ours the worker dies."""

    provider: str
    step: str
    fault: str
    point: str | None

    def __str__(self) -> str:
        return f"{self.provider}-{self.step}-{self.fault}-{self.point or 'lives'}"

    @property
    def failpoint(self) -> str | None:
        kind = "delivery" if self.provider in ("stripe", "custom", "aws_payments") else "metering"
        return self.point and f"{kind}.{self.point}"

    @property
    def lives_on(self) -> bool:
        """Whether one worker can do it all: it is not killed, and nothing happens between its syncs."""
        return self.point is None and self.fault not in ("forgotten_keys", "nobody", *HANGING)


CALLS = [(provider, step) for provider, steps in STEPS.items() for step in steps]
RUNS = [
    *(Run(*call, fault, point) for call in CALLS for fault in FAULTS for point in POINTS),
    *(Run(*call, fault, point) for call in CALLS for fault in HANGING for point in (None, "hanging")),
    # It only reads, so a worker that lives is enough; what it must not do is take a broken answer for an empty list.
    *(Run("aws_payments", "ListAgreementPaymentRequests", fault, None) for fault in (*FAULTS, *HANGING)),
    *(Run(provider, "connect", "nobody", point) for provider in STEPS for point in POINTS),
    *(Run(provider, "none", "none", "before_intent") for provider in STEPS),
]


@pytest.fixture(scope="module")
def owing(cluster: embedded.Cluster, sandbox_process: Sandbox) -> Iterator[Callable[[str], str]]:
    """A database of each provider with an invoice over 12.34 USD that is final and not delivered, made when asked for."""
    made: dict[str, str] = {}

    def name_of(provider: str) -> str:
        if provider not in made:
            sandbox_process.set_clock(NOON)
            made[provider] = f"owing_{uuid.uuid4().hex}"
            cluster.create_database(made[provider], template=TEMPLATE)
            asyncio.run(_owe(cluster.url(made[provider]), sandbox_process, provider))
        return made[provider]

    yield name_of
    for name in made.values():
        cluster.drop_database(name)


async def _owe(url: str, sandbox: Sandbox, provider: str) -> None:
    store = await Store(url).open()
    place = Place(url, sandbox.base, str(sandbox.clock_file), provider)
    connections = place.connections(timeout=10)
    async with store.transaction() as session:
        metric = await create_metric(
            session, name="Units", aggregation=Aggregation.SUM, key="n", event_types_in=["call"], now=NOON
        )
        product = await create_product(session, name="Units", metric_id=metric.id, now=NOON)
    world = World(store, connections, sandbox, product.id)
    settings = SETTINGS.get(provider, SETTINGS["custom"])
    if provider == "aws_payments":
        terms = await fixed(world, (NOVEMBER, "12.34"))
        await world.account(place.connector, settings=settings, starting_at=NOVEMBER, own_terms=terms)
    else:
        await world.account(provider, settings=settings)
        await world.use(1234, at=NOVEMBER - HOUR)
    assert (await world.finalize()).finalized == 1
    await connections.close()
    await store.close()


@pytest.fixture
def database(cluster: embedded.Cluster, owing: Callable[[str], str], run: Run) -> Iterator[str]:
    name = f"run_{uuid.uuid4().hex}"
    cluster.create_database(name, template=owing(run.provider))
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_money_arrives_once_whatever_breaks(run: Run, database: str, sandbox: Sandbox) -> None:
    place = Place(database, sandbox.base, str(sandbox.clock_file), run.provider)
    if run.fault not in ("none", "nobody"):
        kind = "drop_after" if run.fault == "forgotten_keys" else run.fault
        stand_in = "custom" if run.provider == "custom_metering" else place.connector
        sandbox.fault(stand_in, kind, match=run.step)
    if run.lives_on:
        found = _told(work_and_recover, place)
    else:
        _first(run, place, sandbox)
        if run.fault == "forgotten_keys":
            sandbox.reset("keys")
        found = _told(recover, place)
    assert (found["status"], found["acknowledged"]) == (DeliveryStatus.DELIVERED, True), found
    assert all(code and hint for code, hint in found["attention"]), "who is asked to look is told why and what to do"
    assert found["again"] == (0, 0, 0, 0, 0), "a further sync finds nothing to do"
    assert _counted(run.provider, sandbox) == [1234]


def _first(run: Run, place: Place, sandbox: Sandbox) -> None:
    """The worker that meets the fault, and lives, dies at its point, or is killed while the provider hangs."""
    timeout = 1 if run.fault in HANGING and run.point is None else 10
    where = replace(place, sandbox=NOBODY) if run.fault == "nobody" else place
    failpoint = None if run.point == "hanging" else run.failpoint
    worker = FORKS.Process(target=work, args=(where, failpoint, timeout))
    worker.start()
    if run.point == "hanging":
        _until(lambda: sandbox.is_hanging() or worker.exitcode is not None)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
    _end(worker)
    assert worker.exitcode == (0 if run.point is None else -signal.SIGKILL), "the worker met its end as it was meant to"


def _told(target: Callable[..., None], place: Place) -> dict[str, object]:
    """What the next worker makes of it."""
    ours, theirs = FORKS.Pipe()
    worker = FORKS.Process(target=target, args=(place, theirs))
    worker.start()
    theirs.close()
    assert ours.poll(60), "the next worker comes to an end"
    found = ours.recv()
    _end(worker)
    return found


def _end(worker: multiprocessing.process.BaseProcess) -> None:
    worker.join(60)
    if worker.exitcode is None:
        worker.kill()
        worker.join()
        raise AssertionError("the worker does not end")


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def _counted(provider: str, sandbox: Sandbox) -> list[int]:
    """What the provider counts, in cents."""
    if provider == "stripe":
        return [int(one["total"]) for one in sandbox.effects(provider) if one["status"] == "open"]
    if provider == "aws_payments":
        return [int(Decimal(one["amount"]) * 100) for one in sandbox.requests()]
    if provider.startswith("custom"):
        bodies = [one["body"] for one in sandbox.effects("custom")]
        return [
            int(body["usage"]["quantity"]) if "usage" in body else int(Decimal(body["invoice"]["total"]) * 100)
            for body in bodies
        ]
    return [int(slot["quantity"]) for slot in sandbox.effects(provider)]
