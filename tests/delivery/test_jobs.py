"""The worker: what it does by itself, and what becomes of the jobs of one that was killed."""

from __future__ import annotations

import ast
import asyncio
import inspect
import signal
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager as Manager
from psycopg import OperationalError
from sqlalchemy import text

from app import worker
from app.access import audit
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.clock import Clock
from app.core.terms import Aggregation
from app.delivery import notice_sweep
from app.delivery.states import DeliveryStatus
from app.jobs.service import enqueue
from app.notices.service import SEND_JOB
from app.runtime import Runtime
from app.settings import Settings
from app.worker import HANDLERS, RESCUE, SCHEDULES, WorkerHealth, working
from tests.delivery.world import ACTOR, HOUR, NOVEMBER, PROVIDERS, World

STALLED = 1.0


def runtime_of(world: World) -> Runtime:
    """The deployment as a worker inside this process sees it."""
    clock = Clock(str(world.sandbox.clock_file))
    return Runtime(Settings(environment="sandbox"), world.store, clock, world.connections)


async def ask(world: World, name: str, **arguments: Any) -> None:
    async with world.store.transaction() as session:
        await enqueue(session, name, arguments)


async def count(world: World, query: str) -> int:
    async with world.store.transaction() as session:
        return int((await session.execute(text(query))).scalar_one())


async def left_over(world: World, *, seconds: float = 20) -> list[tuple[Any, ...]]:
    """The jobs that are still being done after a while or have failed, with what befell each."""
    told = (
        "select string_agg(type::text || ' ' || at, ', ' order by at) from procrastinate_events where job_id = job.id"
    )
    query = (
        f"select task_name, status, attempts, ({told}) from procrastinate_jobs job where status in ('doing', 'failed')"
    )
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        async with world.store.transaction() as session:
            found = [tuple(row) for row in await session.execute(text(query))]
        if not found or asyncio.get_running_loop().time() > ends:
            return found
        await asyncio.sleep(0.05)


async def until(is_so: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - the database tells, and it sends no events
            await asyncio.sleep(0.05)


async def is_delivered(world: World) -> bool:
    deliveries = await world.deliveries()
    return bool(deliveries) and {item.status for item in deliveries} == {DeliveryStatus.DELIVERED}


async def owing(world: World, provider: str) -> None:
    await world.account(provider)
    await world.use(1234, at=NOVEMBER - HOUR)


async def test_the_hourly_run_ends_with_an_invoice_at_the_provider(world: World) -> None:
    """Found due, finalized, opened, delivered: four jobs, each enqueued by the one before."""
    await owing(world, "stripe")
    async with working(runtime_of(world)):
        await ask(world, "invoices.run")
        await until(lambda: is_delivered(world))
    [effect] = world.sandbox.effects("stripe")
    assert (effect["status"], effect["total"]) == ("open", 1234)
    async with world.store.transaction() as session:
        actors = (await session.execute(text("select actor_kind, actor_name, action from audit_entries"))).all()
    assert ("job", "billing run", "invoice.finalize") in [tuple(row) for row in actors]


async def test_the_hourly_metering_ends_with_a_covered_invoice(world: World) -> None:
    await owing(world, "aws_marketplace")
    await world.finalize()
    async with working(runtime_of(world)):
        await until(lambda: _opened(world))
        await ask(world, "metering.hour")
        await until(lambda: is_delivered(world))
    assert world.sandbox.metered("aws_marketplace") == 1234


async def _opened(world: World) -> bool:
    return bool(await world.deliveries())


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_sync_as_a_job(world: World, provider: str) -> None:
    await owing(world, provider)
    await world.finalize()
    async with working(runtime_of(world)):
        await ask(world, "delivery.sync", provider=provider)
        await until(lambda: is_delivered(world))
    assert len(world.sandbox.effects(provider)) == 1


async def test_folding_and_sealing_change_nothing_that_is_read(world: World) -> None:
    await owing(world, "stripe")
    async with world.store.transaction() as session:
        await audit.record(session, ACTOR, action="test.step", now=world.now, code=None)
    assert await count(world, "select count(*) from bucket_deltas") == 1
    async with working(runtime_of(world)):
        await ask(world, "usage.fold")
        await ask(world, "audit.seal")
        await until(lambda: _is_empty(world, "select count(*) from bucket_deltas"))
        await until(lambda: _is_empty(world, "select count(*) from audit_entries where sequence is null"))
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.total == Decimal("12.34")


async def _is_empty(world: World, query: str) -> bool:
    return await count(world, query) == 0


async def test_a_metric_that_comes_after_its_events_is_filled_once(world: World) -> None:
    for quantity in (5, 7):
        await world.use(quantity, at=NOVEMBER - HOUR, event_type="late")
    async with world.store.transaction() as session:
        metric = await create_metric(
            session, name="Late", aggregation=Aggregation.SUM, key="n", event_types_in=["late"], now=world.now
        )
        product = await create_product(session, name="Late", metric_id=metric.id, now=world.now)
    await world.use(1, at=NOVEMBER - HOUR, event_type="late")
    await world.account("stripe", price="1", product_id=product.id)
    async with working(runtime_of(world)):
        await until(lambda: _is_empty(world, "select count(*) from metrics where not buckets_ready"))
        await ask(world, "usage.backfill", metric=str(metric.id))
        await until(lambda: _is_empty(world, "select count(*) from procrastinate_jobs where status = 'todo'"))
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.total == Decimal(13)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_job_of_a_killed_worker_is_taken_over(world: World, provider: str) -> None:
    """`metrograph worker` dies after the provider did its part; another one finds its job stalled, and ends it."""
    await owing(world, provider)
    await world.finalize()
    if provider != "stripe":
        await world.open()
        await ask(world, "metering.hour")
    point = "delivery.called" if provider == "stripe" else "metering.called"
    code, output = world.run("worker", failpoint=point)
    assert code == -signal.SIGKILL, output
    assert len(world.sandbox.effects(provider)) == 1
    assert await count(world, "select count(*) from procrastinate_jobs where status = 'doing'") >= 1
    await asyncio.sleep(STALLED + 0.2)
    async with working(runtime_of(world), stalled_seconds=STALLED):
        await ask(world, RESCUE)
        await until(lambda: is_delivered(world))
        # Whatever else was cut off is taken over too, perhaps a moment later.
        assert await left_over(world) == []
    assert len(world.sandbox.effects(provider)) == 1


async def test_a_job_whose_successor_waits_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails, and one whose worker died: neither may hold the lock that the waiting one needs."""
    failed = 0

    async def fail(_runtime: Runtime, delivery: str) -> None:
        nonlocal failed
        if failed < 3:
            failed += 1
            await enqueue_next(delivery)
            raise RuntimeError("not now")

    async def enqueue_next(delivery: str) -> None:
        async with world.store.transaction() as session:
            await enqueue(session, "delivery.deliver", {"delivery": delivery}, lock="lane", once=f"deliver:{delivery}")

    monkeypatch.setitem(HANDLERS, "delivery.deliver", fail)
    async with world.store.transaction() as session:
        # As a worker leaves them that was killed: one in its hands, the next one waiting behind it.
        await enqueue(session, "delivery.deliver", {"delivery": "1"}, lock="lane", once="deliver:1")
        await session.execute(text("update procrastinate_jobs set status = 'doing' where queueing_lock = 'deliver:1'"))
    await enqueue_next("1")
    async with working(runtime_of(world), stalled_seconds=STALLED):
        await ask(world, RESCUE)
        await until(lambda: _is_empty(world, "select count(*) from procrastinate_jobs where lock = 'lane'"), seconds=60)
    assert failed == 3


async def test_a_job_whose_end_could_not_be_told_is_told_of_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, lost = Manager.finish_job, 0

    async def lose(self: Manager, job: Job, status: Status, delete_job: bool) -> None:
        nonlocal lost
        if job.task_name == "usage.partitions" and lost < 2:
            lost += 1
            raise ConnectorException from OperationalError("the server closed the connection")
        await told(self, job, status, delete_job)

    monkeypatch.setattr(Manager, "finish_job", lose)
    async with working(runtime_of(world)):
        await ask(world, "usage.partitions")
        await until(
            lambda: _is_empty(world, "select count(*) from procrastinate_jobs where task_name = 'usage.partitions'")
        )
    assert lost == 2


async def test_a_worker_whose_database_went_away_goes_on(world: World) -> None:
    health = WorkerHealth()
    await owing(world, "stripe")
    await world.finalize()
    async with working(runtime_of(world), health=health):
        await until(lambda: is_delivered(world))
        await count(
            world,
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        await world.use(1, at=NOVEMBER - HOUR)
        await ask(world, "usage.fold")
        await until(lambda: _is_empty(world, "select count(*) from bucket_deltas"))
        assert health.is_running


async def test_a_stopped_worker_gives_its_jobs_back(world: World) -> None:
    """Nothing is left in the hands of a worker that ended in order."""
    await owing(world, "stripe")
    await world.finalize()
    process = world.start("worker")
    try:
        await until(lambda: is_delivered(world))
    finally:
        process.send_signal(signal.SIGTERM)
        _out, err = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0, err
    assert await count(world, "select count(*) from procrastinate_jobs where status = 'doing'") == 0


async def test_the_nightly_look_for_missed_notices_is_a_job(world: World) -> None:
    async with working(runtime_of(world)):
        await ask(world, notice_sweep.SWEEP_JOB)
        await until(lambda: _has_swept(world))


async def _has_swept(world: World) -> bool:
    return await count(world, "select count(*) from notice_cursors") > 0


def test_every_schedule_has_a_handler() -> None:
    assert set(SCHEDULES) <= {*HANDLERS, RESCUE, worker.NOTICE_SWEEP}


def test_every_job_has_a_name_of_its_own() -> None:
    """Of two with one name, only the later one would ever be done."""
    names = [*HANDLERS, RESCUE, worker.NOTICE_SWEEP, SEND_JOB]
    assert len(names) == len(set(names))
    written = {
        str(getattr(part.target, "id", "")): len(part.value.keys)
        for part in ast.parse(inspect.getsource(worker)).body
        if isinstance(part, ast.AnnAssign) and isinstance(part.value, ast.Dict)
    }
    assert (written["HANDLERS"], written["SCHEDULES"]) == (len(HANDLERS), len(SCHEDULES))
