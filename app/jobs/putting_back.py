"""What becomes of a job that was not carried out: it waits again, unless the same work waits already.

Owns `Jobs`, the engine's manager with two cases that it leaves open. A job that may wait once (`enqueue(once=…)`) cannot
go back into the queue while its successor waits there; and a word about a job can be lost with a connection. Either
would leave the job "being done" under a worker that lives, so that nobody takes it over and its lock blocks the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from app.store.engine import GONE

log = structlog.get_logger("metrograph.worker")
PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries to tell the database of a job; after the last one the job is left to a restart."""


class Jobs(JobManager):
    """The engine's manager of jobs, which lets go of each job that it was given."""

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Let a job wait again. When the same work waits already, that does what is left, and this job ends."""
        put_back = super().retry_job
        try:
            await _persistently(lambda: put_back(job, retry_at=retry_at, priority=priority, queue=queue, lock=lock))
        except UniqueViolation:
            log.info("job left to the one that waits for the same", job=job.task_name)
            await self.finish_job(job, status=Status.ABORTED, delete_job=True)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Say how a job ended, also when the connection is lost meanwhile."""
        finish = super().finish_job
        await _persistently(lambda: finish(job, status=status, delete_job=delete_job))

    async def rescue(self, *, stalled_seconds: float) -> None:
        """Let the jobs of workers that gave no sign of life for so many seconds wait again; one by one, whatever fails."""
        for job in await self.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
            log.warning("job rescued from a dead worker", job=job.task_name)
            try:
                await self.retry_job(job)
            except ConnectorException:
                log.exception("job not rescued", job=job.task_name)


async def _persistently(tell: Callable[[], Awaitable[None]]) -> None:
    for pause in PAUSES:
        try:
            return await tell()
        except ConnectorException as error:
            if not isinstance(error.__cause__, GONE):
                raise
        await asyncio.sleep(pause)
    return await tell()
