"""One sweep over everything that is due at the providers: invoices, hourly slots, and what they cover.

Owns the order of the steps and the count of what was done. A second sweep right after finds nothing to do and calls
nobody; any number of workers may sweep at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from app.delivery.metering import metered_configurations, plan_slots, send_slots
from app.delivery.registry import Connections
from app.delivery.service import deliver, due_deliveries, open_deliveries
from app.delivery.settlement import settle
from app.delivery.states import DeliveryStatus
from app.delivery.tables import Delivery
from app.delivery.voids import settle_voids
from app.store.engine import Store
from app.store.ids import to_text

log = structlog.get_logger("metrograph.delivery")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sweep works: the store, the accounts, the clock; `providers` limits it, `on_step` hears of each step."""

    store: Store
    connections: Connections
    clock: Callable[[], datetime]
    providers: frozenset[str] | None = None
    on_step: Callable[[str], None] = lambda _: None

    def wants(self, provider: str) -> bool:
        """Whether a provider is within the limit."""
        return self.providers is None or provider in self.providers


@dataclass(slots=True)
class Sweep:
    """What a sweep did; `delivered` counts the invoices that became so."""

    opened: int = 0
    attempted: int = 0
    slots_planned: int = 0
    slots_sent: int = 0
    delivered: int = 0


async def sweep(target: Target, *, at_once: bool = False) -> Sweep:
    """Do everything that is due now. `at_once` does not wait for retry times."""
    done = Sweep()
    async with target.store.transaction() as session:
        done.opened = len(await open_deliveries(session, target.connections, now=target.clock()))
    await settle_voids(target.store, target.connections, clock=target.clock)
    await _invoices(target, done, at_once=at_once)
    await meter(target, done)
    return done


async def _invoices(target: Target, done: Sweep, *, at_once: bool) -> None:
    async with target.store.transaction() as session:
        due = await due_deliveries(session, now=target.clock(), at_once=at_once)
    for delivery in due:
        if target.wants(delivery.provider):
            target.on_step(f"{delivery.provider} invoice")
            if await deliver(target.store, target.connections, delivery.id, clock=target.clock):
                done.attempted += 1
                done.delivered += await _is_delivered(target, delivery.id)


async def meter(target: Target, done: Sweep) -> None:
    """Plan and send the slot of the last full hour for each marketplace configuration, and settle its invoices."""
    async with target.store.transaction() as session:
        found = await metered_configurations(session, target.connections)
    metered = [configuration for configuration in found if target.wants(configuration.provider)]
    of_customer: dict[UUID, list[UUID]] = {}
    for configuration in metered:
        of_customer.setdefault(configuration.customer_id, []).append(configuration.id)
    faults: list[Exception] = []
    for customer_id, configuration_ids in of_customer.items():
        try:
            async with target.store.transaction() as session:
                done.slots_planned += len(
                    await plan_slots(session, target.connections, configuration_ids, now=target.clock())
                )
        except Exception as fault:
            # The others' hours would pass; it is raised when theirs were sent.
            log.exception("customer not metered", customer=to_text("customer", customer_id))
            faults.append(fault)
    for name in sorted({configuration.connection for configuration in metered}):
        target.on_step(f"{name} usage")
        sent = await send_slots(target.store, target.connections, name, clock=target.clock)
        done.slots_sent += sent.slots
        done.delivered += sent.delivered
    for configuration in metered:
        async with target.store.transaction() as session:
            done.delivered += await settle(session, configuration.id, now=target.clock())
    if faults:
        raise faults[0]


async def _is_delivered(target: Target, delivery_id: UUID) -> bool:
    async with target.store.transaction() as session:
        return (await session.get_one(Delivery, delivery_id)).status == DeliveryStatus.DELIVERED
