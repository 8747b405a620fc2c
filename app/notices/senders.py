"""The tasks of one process that send notices, beside the job engine's.

Owns when an endpoint is looked at. A job only wakes a task, so that a receiver which lets us wait takes no place of a
worker and holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from app.notices.sending import Place, due_endpoints, send_due

log = structlog.get_logger("metrograph.notices")

MAX_ENDPOINTS = 6
"""Endpoints that one process sends to at the same time; each takes a connection of the pool."""


@dataclass(slots=True)
class Senders:
    """The tasks of one process, one for each endpoint at a time. What they leave, the next sweep finds."""

    place: Place
    _running: dict[UUID, asyncio.Task[None]] = field(default_factory=dict[UUID, asyncio.Task[None]])
    _again: set[UUID] = field(default_factory=set[UUID])
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_ENDPOINTS))

    def wake(self, endpoint_id: UUID) -> None:
        """Send what waits for an endpoint; one that is being sent to is looked at once more afterwards."""
        if endpoint_id in self._running:
            self._again.add(endpoint_id)
            return
        task = asyncio.create_task(self._send(endpoint_id))
        self._running[endpoint_id] = task
        task.add_done_callback(lambda _: self._done(endpoint_id))

    async def sweep(self) -> None:
        """Wake the senders of all endpoints for which something is due."""
        for endpoint_id in await due_endpoints(self.place):
            self.wake(endpoint_id)

    async def aclose(self) -> None:
        """Break off; what was not recorded is tried again by whoever comes next."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, endpoint_id: UUID) -> None:
        try:
            async with self._room:
                await send_due(self.place, endpoint_id)
        except Exception:
            log.exception("notices not sent", endpoint=str(endpoint_id))

    def _done(self, endpoint_id: UUID) -> None:
        was_cancelled = self._running.pop(endpoint_id).cancelled()
        if endpoint_id in self._again:
            self._again.discard(endpoint_id)
            if not was_cancelled:
                self.wake(endpoint_id)
