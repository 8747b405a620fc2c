"""One process that works on a billing run beside a command, which tells it what to do, a line for each run.

Owns what it does with a line. It ends with its standard input, in the middle of a run as well, so that none outlives a
command that was killed; what it had not committed is open again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from app.actor import Actor
from app.commands.logs import configure_logs
from app.invoices.run import Share, work_on
from app.memory import settle_memory
from app.notices import noticing as _noticing  # noqa: F401 - the session tells what it writes
from app.store.engine import Store


def _read(told: dict[str, Any]) -> Share:
    actor = Actor(kind=told["kind"], name=told["name"])
    return Share(UUID(told["run"]), actor, datetime.fromisoformat(told["now"]), told["at_once"])


async def _told() -> asyncio.StreamReader:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    return lines


def _done() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


@asynccontextmanager
async def _opened(opening: dict[str, Any]) -> AsyncIterator[Store]:
    configure_logs(opening["log_level"])
    store = await Store(opening["url"]).open()
    try:
        yield store
    finally:
        await store.close()


async def main() -> None:
    """Be such a process: a line opens the deployment, each further one is a share of a run; the end of lines is the end."""
    lines = await _told()
    opening = await lines.readline()
    if not opening:
        return
    async with _opened(json.loads(opening)) as store:
        settle_memory()
        _done()
        while line := await lines.readline():
            if not await _unless_left(lines, work_on(store, _read(json.loads(line)))):
                return
            _done()


async def _unless_left(lines: asyncio.StreamReader, work: Coroutine[Any, Any, None]) -> bool:
    """Do some work, unless the other end goes away meanwhile: nothing is said then, so its end is all that can be read."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(lines.read(1))
    await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
    is_done = working.done()
    for task in (working, gone):
        task.cancel()
    [failure, _] = await asyncio.gather(working, gone, return_exceptions=True)
    if is_done and failure is not None:
        raise failure
    return is_done


if __name__ == "__main__":
    asyncio.run(main())
