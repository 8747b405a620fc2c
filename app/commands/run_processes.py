"""Processes that work on a billing run beside the one that was asked for it, since one interpreter keeps one core busy.

Owns their start, what they are told, and their end; what they do is in `run_process.py`. The record of a run says what is open, so a process that dies costs
nothing but its last transaction. Each ends with its standard input: none outlives a command that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import structlog

from app.commands import run_process
from app.invoices.run import Share
from app.runtime import Runtime

log = structlog.get_logger("metrograph.invoices")

CONTRACTS_EACH = 500
"""Contracts for which another process is worth its start: in the second that it takes, this one does some hundreds."""
MOST_BY_ITSELF = 8
"""Processes for a run where nobody says how many; each holds up to 200 locks of the database, and a connection."""
END_SECONDS = 10.0
"""How long a process may take to end before it is killed."""


def cores() -> int:
    """How many processes this machine runs at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class RunProcesses:
    """At most so many processes beside this one, each started when a run is large enough for it."""

    def __init__(self, url: str, *, at_most: int, log_level: str = "info") -> None:
        self._opening = {"url": url, "log_level": log_level}
        self._at_most = at_most
        self._started: list[asyncio.subprocess.Process] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def beside(cls, runtime: Runtime, *, workers: int | None) -> AsyncIterator[RunProcesses]:
        """Those beside this process where so many work in all, by default one for each core; they end with the block."""
        in_all = min(cores(), MOST_BY_ITSELF) if workers is None else workers
        found = cls(runtime.store.url, at_most=in_all - 1, log_level=runtime.settings.log_level)
        try:
            yield found
        finally:
            await found.aclose()

    def worth(self, contracts: int) -> int:
        """How many work on a run of so many contracts."""
        return min(self._at_most, contracts // CONTRACTS_EACH)

    async def work_on(self, share: Share, *, processes: int) -> None:
        """Have so many work on a run, until none finds anything open in it. One that dies is missed by nobody."""
        try:
            await self.start(processes)
        except OSError as error:
            log.warning("no further process for the billing run", reason=str(error))
        await asyncio.gather(*(self._ask(process, share) for process in self._started[:processes]))

    async def start(self, processes: int) -> None:
        """Have so many running, and ready."""
        await asyncio.gather(*(self._start() for _ in range(processes - len(self._started))))

    async def _start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", run_process.__name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            # An interruption from the terminal goes to this process, which ends the others.
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        await _tell(process, self._opening)

    async def aclose(self) -> None:
        """End them all; what they had not committed is open again."""
        for process in self._started:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._started:
            try:
                await asyncio.wait_for(process.wait(), END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._started.clear()

    async def _ask(self, process: asyncio.subprocess.Process, share: Share) -> None:
        if not await _tell(process, _written(share)):
            log.warning("a process of the billing run has ended; the others go on")


async def _tell(process: asyncio.subprocess.Process, document: dict[str, Any]) -> bool:
    """Tell a process something, and wait until it is done; False when it has died."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(json.dumps(document).encode() + b"\n")
        await process.stdin.drain()
    return bool(await process.stdout.readline())


def _written(share: Share) -> dict[str, Any]:
    return {
        "run": str(share.run_id),
        "kind": share.actor.kind,
        "name": share.actor.name,
        "now": share.now.isoformat(),
        "at_once": share.at_once,
    }
