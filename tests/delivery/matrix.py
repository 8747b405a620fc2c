"""One process of the crash x fault matrix: what a worker does before it dies, and what the next one makes of it.

The test forks these from one parent that has imported everything, so that a run costs a fraction of a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from app import failpoints
from app.clock import Clock
from app.delivery import actions, sync
from app.delivery.registry import Connections, connect
from app.delivery.states import DeliveryStatus
from app.delivery.tables import Delivery
from app.sandbox import CREDENTIALS, further_tables, tables
from app.store.engine import Store

ROUNDS = 6


@dataclass(frozen=True)
class Place:
    """Where a worker works."""

    database: str
    sandbox: str
    clock_file: str
    provider: str

    @property
    def connector(self) -> str:
        """The connector of the account; payment requests are another way of one."""
        return "aws_marketplace" if self.provider == "aws_payments" else self.provider

    def connections(self, *, timeout: int) -> Connections:
        """The one account that is needed: each takes its time to make."""
        every = {
            **tables(stripe=self.sandbox, aws=self.sandbox, azure=f"{self.sandbox}/api"),
            **further_tables(self.sandbox),
        }
        every["messages"] = {**every["custom-sandbox"], "provider": "custom_metering"}
        accounts = {name: account for name, account in every.items() if account["provider"] == self.connector}
        for account in accounts.values():
            account["timeout_seconds"] = timeout
            if self.connector in ("stripe", "aws_marketplace"):
                account["network_retries"] = 0
        environ = CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"}
        return connect(accounts, environ=environ, now=Clock(str(self.clock_file)).now)


def work(place: Place, failpoint: str | None, timeout: int) -> None:
    """One sync, as a worker does it, until it ends or dies at the point."""
    failpoints.arm(failpoint)
    asyncio.run(_work(place, timeout))
    os._exit(0)  # Everything is closed; tearing a large process down takes longer than the run.


async def _work(place: Place, timeout: int) -> None:
    store, connections = await Store(place.database).open(), place.connections(timeout=timeout)
    try:
        await sync.sweep(_target(place, store, connections), at_once=True)
    finally:
        await connections.close()
        await store.close()


def recover(place: Place, told: Pipe) -> None:
    """Sync until nothing is open, retrying by hand what needs attention; then once more, which is to do nothing."""
    told.send(asyncio.run(_recover(place)))
    told.close()
    os._exit(0)


def work_and_recover(place: Place, told: Pipe) -> None:
    """A worker that lives and goes on by itself; nothing is told apart from another one, which knows the store alone."""
    asyncio.run(_work(place, 10))
    recover(place, told)


async def _recover(place: Place) -> Mapping[str, Any]:
    store, connections = await Store(place.database).open(), place.connections(timeout=10)
    target = _target(place, store, connections)
    attention: list[tuple[str | None, str | None]] = []
    try:
        for _ in range(ROUNDS):
            await sync.sweep(target, at_once=True)
            async with store.transaction() as session:
                [delivery] = (await session.execute(select(Delivery).order_by(col(Delivery.id)))).scalars()
                if delivery.status == DeliveryStatus.NEEDS_ATTENTION:
                    attention.append((delivery.error_code, delivery.error_hint))
                    await actions.retry(session, connections, delivery.id, now=target.clock())
                elif delivery.status == DeliveryStatus.DELIVERED:
                    break
        again = await sync.sweep(target, at_once=True)
        return {
            "status": str(delivery.status),
            "acknowledged": delivery.acknowledged == delivery.total,
            "attention": attention,
            "again": (again.opened, again.attempted, again.slots_planned, again.slots_sent, again.delivered),
        }
    finally:
        await connections.close()
        await store.close()


def _target(place: Place, store: Store, connections: Connections) -> sync.Target:
    return sync.Target(store, connections, Clock(str(Path(place.clock_file))).now)
