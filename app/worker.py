"""The job worker: which name runs which function, and the loop that keeps it alive.

Owns one literal table of handlers and one of schedules. Schedules tick in real time; what a handler calls now comes
from the clock. Any number of workers run anywhere; each handler takes its own locks and is safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import procrastinate
import structlog

from app.access import audit, idempotency
from app.actor import system
from app.alerts import looking, ticking
from app.contracts import recurring_children, threshold_reading
from app.delivery import (
    awaiting,
    external,
    inbound,
    marketplaces,
    metering,
    notice_sweep,
    payments,
    reconciliation_runs,
    reconciliations,
    service,
    slot_alarms,
    sync,
    turns,
    voids,
)
from app.delivery.actions import SYNC_JOB
from app.delivery.matching import FOLLOW_JOB
from app.grants.gates import PAYMENTS_JOB
from app.invoices import due, next_due, purchase_run, runs, settling
from app.invoices import run as billing_run
from app.invoices import threshold_run as billing
from app.invoices.service import DELIVERIES_JOB
from app.jobs.putting_back import Jobs
from app.jobs.service import enqueue
from app.notices import calendar, offsets, retention
from app.notices.senders import Senders
from app.notices.sending import Place
from app.notices.service import SEND_JOB
from app.runtime import Runtime
from app.usage import buckets
from app.usage.partitions_postgres import create_partitions
from app.usage.watched import ALERTS_JOB, ALERTS_WAIT, TOUCHED_JOB

log = structlog.get_logger("metrograph.worker")

Handler = Callable[..., Awaitable[None]]
STALLED_SECONDS = 30.0
GRACE_SECONDS = 20.0
BILLING = system("billing run", kind="job")


async def deliver(runtime: Runtime, delivery: str) -> None:
    """Make one try at one delivery."""
    await service.deliver(runtime.store, runtime.connections, UUID(delivery), clock=runtime.clock.now)


async def open_deliveries(runtime: Runtime) -> None:
    """Make the deliveries of new invoices, enqueue what is due, one job each, and then call off those of void ones."""
    async with runtime.store.transaction() as session:
        now = runtime.clock.now()
        await service.open_deliveries(session, runtime.connections, now=now)
        for due in await service.due_deliveries(session, now=now):
            turn = await turns.turn_of(session, runtime.connections, due.billing_configuration_id)
            lane = turns.lane_of(turn, runtime.connections, due.connection)
            await enqueue(session, "delivery.deliver", {"delivery": str(due.id)}, lock=lane, once=f"deliver:{due.id}")
    await voids.settle_voids(runtime.store, runtime.connections, clock=runtime.clock.now)


async def meter_hour(runtime: Runtime) -> None:
    """Plan the slot of the last full hour for every marketplace configuration, send it, and settle invoices."""
    await sync.meter(sync.Target(runtime.store, runtime.connections, runtime.clock.now), sync.Sweep())


async def sync_providers(runtime: Runtime, provider: str | None = None) -> None:
    """Make everything that is due now, as `metrograph sync` does, at one provider or all."""
    providers = None if provider is None else frozenset({provider})
    place = sync.Target(runtime.store, runtime.connections, runtime.clock.now, providers)
    await sync.sweep(place, at_once=True)


async def resend_slots(runtime: Runtime) -> None:
    """Send slots again whose answer was lost, and tell of those whose time runs out."""
    for connection in runtime.connections.all():
        await metering.send_slots(runtime.store, runtime.connections, connection.name, clock=runtime.clock.now)
    async with runtime.store.transaction() as session:
        for found in await slot_alarms.closing(session, now=runtime.clock.now()):
            log.warning(
                "metering slots are about to be lost",
                connection=found.connection, slots=found.slots, first_deadline=found.first_deadline.isoformat(),
            )  # fmt: skip


async def make_children(runtime: Runtime) -> None:
    """Make the recurring commits and credits whose period has begun, and post what rolls over."""
    now = runtime.clock.now()
    await recurring_children.make_all_children(runtime.store, now=now)
    await settling.settle_all(runtime.store, now=now)


async def settle_payments(runtime: Runtime) -> None:
    """Bill commits that wait for their payment, and look what became of payments that are awaited."""
    await purchase_run.bill_unpaid(runtime.store, actor=BILLING, now=runtime.clock.now())
    await payments.settle_payments(runtime.store, runtime.connections, actor=BILLING, clock=runtime.clock.now)


async def handle_notices(runtime: Runtime) -> None:
    """Do what follows from the notices of providers."""
    place = inbound.Place(runtime.store, runtime.connections, runtime.clock.now)
    await inbound.handle_all(place, NOTICE_HANDLERS)


async def reconcile(runtime: Runtime, reconciliation: str) -> None:
    """Make one reconciliation that was asked for."""
    await reconciliation_runs.carry_out(
        runtime.store, runtime.connections, UUID(reconciliation), clock=runtime.clock.now
    )


async def reconcile_nightly(runtime: Runtime) -> None:
    """Compare our books of the last complete days with the providers'."""
    await reconciliation_runs.reconcile_nightly(runtime.store, runtime.connections, clock=runtime.clock.now)


async def sweep_notices(runtime: Runtime) -> None:
    """Take in the notices of providers that were missed."""
    await notice_sweep.sweep_notices(inbound.Place(runtime.store, runtime.connections, runtime.clock.now))


async def evaluate_touched(runtime: Runtime) -> None:
    """Look at the contracts with thresholds that have new usage."""
    await billing.evaluate_touched(runtime.store, runtime.connections, actor=BILLING, now=runtime.clock.now())


async def evaluate_thresholds(runtime: Runtime, contract: str | None = None) -> None:
    """Look at the thresholds of a contract, or of all, and buy what they ask for."""
    now = runtime.clock.now()
    if contract is not None:
        contracts = [UUID(contract)]
    else:
        async with runtime.store.transaction() as session:
            contracts = await threshold_reading.watched_contracts(session, now=now)
    for contract_id in contracts:
        await billing.evaluate(runtime.store, runtime.connections, contract_id, actor=BILLING, now=now)


async def run_invoices(runtime: Runtime) -> None:
    """Find the contracts with due statements, and enqueue their run and what earlier ones left."""
    now = runtime.clock.now()
    async with runtime.store.transaction() as session:
        found = await runs.ask_for_runs(session, actor=BILLING, as_of=now, now=now)
        for progress in (await runs.progress_of(session, found)).values():
            await due.enqueue_run(session, progress.run.id, contracts=progress.total - progress.done)
    await next_due.look_ahead(runtime.store, now=now, but_of=[run.id for run in found])


async def finalize(runtime: Runtime, run: str) -> None:
    """Work on a billing run until there is nothing that nobody else is at."""
    await billing_run.work(runtime.store, UUID(run), actor=BILLING, now=runtime.clock.now())


async def fold_buckets(runtime: Runtime) -> None:
    """Fold appended usage deltas into hours."""
    await buckets.fold_all(runtime.store)


async def backfill_metric(runtime: Runtime, metric: str) -> None:
    """Put the events that came before a metric into its buckets."""
    async with runtime.store.transaction() as session:
        await buckets.backfill(session, UUID(metric))


async def make_partitions(runtime: Runtime) -> None:
    """Make the event partitions of the next days."""
    async with runtime.store.transaction() as session:
        await create_partitions(session, first=runtime.clock.now().date(), days=3)


async def seal_audit(runtime: Runtime) -> None:
    """Give new audit entries their sequence and hash."""
    async with runtime.store.transaction() as session:
        await audit.seal(session, now=runtime.clock.now())


async def purge_answers(runtime: Runtime) -> None:
    """Drop answers of idempotency keys that are older than a day."""
    async with runtime.store.transaction() as session:
        await idempotency.purge(session, now=runtime.clock.now())


async def follow_marketplaces(runtime: Runtime) -> None:
    """Activate subscriptions that were linked, read again those that were not read for a day, and payment requests."""
    for follow in (marketplaces.follow_all, awaiting.read_back_awaited):
        await follow(inbound.Place(runtime.store, runtime.connections, runtime.clock.now))


async def evaluate_alerts(runtime: Runtime) -> None:
    """Look at the alerts of customers of whom something changed."""
    if not await looking.evaluate_alone(runtime.store, clock=runtime.clock.now):
        async with runtime.store.transaction() as session:
            await enqueue(session, ALERTS_JOB, once=ALERTS_JOB, wait=ALERTS_WAIT)


async def tick_alerts(runtime: Runtime) -> None:
    """Note whose alerts read otherwise because time has passed."""
    async with runtime.store.transaction() as session:
        await ticking.tick(session, now=runtime.clock.now())
    await evaluate_alerts(runtime)


async def tell_calendar(runtime: Runtime) -> None:
    """Tell what begins and ends by the calendar."""
    told = calendar.LIMIT
    while told == calendar.LIMIT:
        async with runtime.store.transaction() as session:
            told = await calendar.tell_calendar(session, now=runtime.clock.now())
    told = offsets.LIMIT
    while told == offsets.LIMIT:
        async with runtime.store.transaction() as session:
            told = await offsets.tell_offsets(session, now=runtime.clock.now())


async def forget_notices(runtime: Runtime) -> None:
    """Drop notices that were told long ago."""
    async with runtime.store.transaction() as session:
        await retention.forget_old(session, now=runtime.clock.now())


NOTICE_HANDLERS: dict[str, inbound.Handler] = {"invoice": external.refresh, "metering": marketplaces.follow}
"""What notices lead to, by what the provider takes (`Capabilities.mode`)."""

HANDLERS: dict[str, Handler] = {
    DELIVERIES_JOB: open_deliveries,
    "delivery.deliver": deliver,
    "delivery.sweep": open_deliveries,
    SYNC_JOB: sync_providers,
    "metering.hour": meter_hour,
    "metering.resend": resend_slots,
    "grants.children": make_children,
    PAYMENTS_JOB: settle_payments,
    inbound.HANDLE_JOB: handle_notices,
    notice_sweep.SWEEP_JOB: sweep_notices,
    FOLLOW_JOB: follow_marketplaces,
    reconciliations.RECONCILE_JOB: reconcile,
    reconciliation_runs.NIGHTLY_JOB: reconcile_nightly,
    threshold_reading.EVALUATE_JOB: evaluate_thresholds,
    TOUCHED_JOB: evaluate_touched,
    "thresholds.sweep": evaluate_thresholds,
    "invoices.run": run_invoices,
    due.FINALIZE_JOB: finalize,
    "usage.fold": fold_buckets,
    "usage.backfill": backfill_metric,
    "usage.partitions": make_partitions,
    "audit.seal": seal_audit,
    "access.purge": purge_answers,
    ALERTS_JOB: evaluate_alerts,
    "alerts.sweep": evaluate_alerts,
    "alerts.tick": tick_alerts,
    "notices.calendar": tell_calendar,
    "notices.forget": forget_notices,
}

RESCUE = "jobs.rescue"
NOTICE_SWEEP = "notices.sweep"
SCHEDULES: dict[str, str] = {
    "delivery.sweep": "* * * * * 15",
    "metering.hour": "0 * * * *",
    "metering.resend": "*/5 * * * * 45",
    "grants.children": "0 * * * *",
    PAYMENTS_JOB: "* * * * * 30",
    inbound.HANDLE_JOB: "* * * * * 50",
    notice_sweep.SWEEP_JOB: "17 3 * * *",
    # After the sweep, so that what it takes in is known.
    reconciliation_runs.NIGHTLY_JOB: "47 3 * * *",
    FOLLOW_JOB: "25 * * * *",
    "thresholds.sweep": "1 * * * *",
    "invoices.run": "5 * * * *",
    "usage.fold": "* * * * * */5",
    "usage.partitions": "30 */6 * * *",
    "audit.seal": "* * * * * */5",
    "access.purge": "20 * * * *",
    "alerts.sweep": "* * * * * */5",
    "alerts.tick": "0 * * * * 20",
    "notices.calendar": "* * * * * 5",
    "notices.forget": "40 2 * * *",
    NOTICE_SWEEP: "* * * * * */15",
    RESCUE: "* * * * * */10",
}
"""Cron lines in real time; a sixth field, the last, holds the seconds."""


@dataclass(slots=True)
class WorkerHealth:
    """Whether the worker loop of this process lives."""

    is_running: bool = False
    restarts: int = 0


def job_app(runtime: Runtime, senders: Senders, *, stalled_seconds: float = STALLED_SECONDS) -> procrastinate.App:
    """The engine with every handler and schedule registered; not opened."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    app.job_manager = manager = Jobs(connector=app.connector)
    # Every task answers a cancellation with "again", so a stop loses no job. What still fails after some minutes is
    # left to its schedule: the state that asks for the work stays where it is.
    retry = procrastinate.RetryStrategy(max_attempts=8, wait=2, linear_wait=5)
    jobs = {name: _bound(runtime, handler) for name, handler in HANDLERS.items()} | {
        RESCUE: _rescue(manager, stalled_seconds),
        SEND_JOB: _wake(senders),
        NOTICE_SWEEP: _wake(senders),
    }
    for name, job in jobs.items():
        options: Any = {"name": name, "retry": retry, "queueing_lock": name if name in SCHEDULES else None}
        task = app.task(**options)(job)
        if name in SCHEDULES:
            app.periodic(cron=SCHEDULES[name], periodic_id=name)(task)
    return app


async def run_worker(
    runtime: Runtime,
    *,
    concurrency: int = 4,
    queues: Sequence[str] = (),
    health: WorkerHealth | None = None,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Work until cancelled. The engine's loop can end while the process lives; then it is started again.

    A worker whose sign of life is older than `stalled_seconds` is taken for dead, and its jobs are given to others.
    """
    health = health or WorkerHealth()
    senders = Senders(Place(runtime.store, runtime.settings, runtime.clock.now))
    app = job_app(runtime, senders, stalled_seconds=stalled_seconds)
    async with app.open_async(runtime.store.pool), aclosing(senders):
        while True:
            try:
                health.is_running = True
                options: Any = {"queues": list(queues)} if queues else {}
                await app.run_worker_async(
                    **options, concurrency=concurrency, install_signal_handlers=False, delete_jobs="successful",
                    fetch_job_polling_interval=0.5, shutdown_graceful_timeout=GRACE_SECONDS,
                    update_heartbeat_interval=stalled_seconds / 6, stalled_worker_timeout=stalled_seconds,
                )  # fmt: skip
            except Exception:
                log.exception("worker ended; starting it again")
            finally:
                health.is_running = False
            health.restarts += 1
            await asyncio.sleep(1)


@asynccontextmanager
async def working(runtime: Runtime, **options: Any) -> AsyncIterator[None]:
    """A worker that runs as long as the block, and ends its jobs before it leaves; options are those of `run_worker`."""
    task = asyncio.create_task(run_worker(runtime, **options))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _bound(runtime: Runtime, handler: Handler) -> Callable[..., Awaitable[None]]:
    async def job(timestamp: int | None = None, **arguments: Any) -> None:
        await handler(runtime, **arguments)

    return job


def _wake(senders: Senders) -> Callable[..., Awaitable[None]]:
    """A job only wakes the tasks that send: a slow receiver takes no place of a worker."""

    async def wake(timestamp: int | None = None, endpoint: str | None = None) -> None:
        if endpoint is None:
            await senders.sweep()
        else:
            senders.wake(UUID(endpoint))

    return wake


def _rescue(jobs: Jobs, stalled_seconds: float) -> Callable[..., Awaitable[None]]:
    async def rescue(timestamp: int | None = None) -> None:
        await jobs.rescue(stalled_seconds=stalled_seconds)

    return rescue
