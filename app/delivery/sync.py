"""One sweep over everything that is due at the providers: invoices, hourly slots, and what they cover.

Owns the order of the steps and the count of what was done. A second sweep right after finds nothing to do and calls
nobody; any number of workers may sweep at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from app.delivery.metering import metered_configurations, plan_slot, send_slots, settle
from app.delivery.registry import Connections
from app.delivery.service import deliver, due_deliveries, open_deliveries
from app.store.engine import Store


@dataclass(slots=True)
class Sweep:
    """What a sweep did, by kind; `calls` counts the documents that were handed to a connector."""

    opened: int = 0
    attempted: int = 0
    slots_planned: int = 0
    slots_sent: int = 0
    delivered: int = 0
    providers: set[str] = field(default_factory=set)


async def sweep(
    store: Store,
    connections: Connections,
    *,
    clock: Callable[[], datetime],
    providers: Collection[str] | None = None,
    at_once: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Do everything that is due now. `providers` limits it; `at_once` does not wait for retry times."""
    done = Sweep()
    async with store.transaction() as session:
        done.opened = len(await open_deliveries(session, connections, now=clock()))
    await _invoices(store, connections, done, clock=clock, providers=providers, at_once=at_once, on_step=on_step)
    await _usage(store, connections, done, clock=clock, providers=providers, on_step=on_step)
    return done


async def _invoices(
    store: Store, connections: Connections, done: Sweep, *, clock: Callable[[], datetime],
    providers: Collection[str] | None, at_once: bool, on_step: Callable[[str], None],
) -> None:  # fmt: skip
    async with store.transaction() as session:
        due = await due_deliveries(session, now=clock(), at_once=at_once)
    for delivery in due:
        if providers is None or delivery.provider in providers:
            on_step(f"{delivery.provider} invoice")
            if await deliver(store, connections, delivery.id, clock=clock):
                done.attempted += 1
                done.providers.add(delivery.provider)


async def _usage(
    store: Store, connections: Connections, done: Sweep, *, clock: Callable[[], datetime],
    providers: Collection[str] | None, on_step: Callable[[str], None],
) -> None:  # fmt: skip
    async with store.transaction() as session:
        metered = [
            row
            for row in await metered_configurations(session, connections)
            if providers is None or row.provider in providers
        ]
    for configuration in metered:
        async with store.transaction() as session:
            if await plan_slot(session, connections, configuration.id, now=clock()) is not None:
                done.slots_planned += 1
    for name in sorted({configuration.connection for configuration in metered}):
        on_step(f"{name} usage")
        done.slots_sent += await send_slots(store, connections, name, clock=clock)
    for configuration in metered:
        async with store.transaction() as session:
            done.delivered += await settle(session, configuration.id, now=clock())
