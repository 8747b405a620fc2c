"""Hears what other processes commit, on one connection for the whole process, and hands it on to its subscribers.

Owns that connection and the subscribers' queues, which are bounded. Who tells is the database itself: triggers, and the
statement that notes usage. What is heard are ids; each subscriber reads what it may see.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import ErrorCode, LimitExceeded, Unavailable

log = structlog.get_logger("metrograph.live")

CHANNEL = "metrograph_live"
PROBE_SECONDS = 30.0
"""A connection on which nothing came for so long is asked whether it lives."""
LONGEST_PAUSE = 10.0
_ALIVE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was committed: of which kind, its id, and the customer that it belongs to, if to one."""

    kind: str
    id: UUID
    customer_id: UUID | None = None


async def tell(session: AsyncSession, kind: str, identifier: UUID) -> None:
    """Tell once more of what was told when it was written; who listens hears it when the transaction commits."""
    await session.execute(
        text("select pg_notify(:channel, :told)"), {"channel": CHANNEL, "told": f"{kind} {identifier}"}
    )


class Subscription:
    """What one subscriber has not read yet.

    One that shows a state (`is_state`) needs to know only that it changed, so changes that wait are one. All others get
    each change, or an error when they cannot.
    """

    def __init__(self, accepts: Callable[[Change], bool], *, is_state: bool, size: int) -> None:
        self.accepts = accepts
        self.is_state = is_state
        self._size = size
        self._waiting: deque[Change | None] = deque()
        self._awake = asyncio.Event()
        self._ended: Unavailable | LimitExceeded | None = None

    async def next(self, *, wait_seconds: float) -> bool | Change:
        """The next change; True when something may have changed that was not heard, False when nothing came in time.

        Errors: LIMIT_EXCEEDED when too much was waiting, UNAVAILABLE when changes may have been missed.
        """
        try:
            async with asyncio.timeout(wait_seconds):
                await self._awake.wait()
        except TimeoutError:
            return False
        if self._ended is not None:
            raise self._ended
        found = self._waiting.popleft()
        if not self._waiting:
            self._awake.clear()
        return True if found is None else found

    def hear(self, change: Change | None) -> None:
        """Take a change in; None: whatever there was."""
        if change is not None and not self.accepts(change):
            return
        if self.is_state:
            self._waiting.clear()
        elif len(self._waiting) >= self._size:
            self._end(
                LimitExceeded(
                    ErrorCode.LIMIT_EXCEEDED,
                    f"More than {self._size} changes waited for this subscriber: read what it shows, and subscribe again.",
                )
            )
            return
        self._waiting.append(change)
        self._awake.set()

    def interrupt(self) -> None:
        """Nothing is heard for a while. A state is read again afterwards; all others are told."""
        if not self.is_state:
            self._end(
                Unavailable(
                    ErrorCode.UNAVAILABLE, "Changes may have been missed: read what you show, and subscribe again."
                )
            )

    def _end(self, error: Unavailable | LimitExceeded) -> None:
        self._ended = self._ended or error
        self._waiting.clear()
        self._awake.set()


class Listener:
    """The subscribers of one process. The connection is there while there is a subscriber."""

    def __init__(self, url: str, *, at_most: int = 200, queue: int = 256, wait_seconds: float = 10.0) -> None:
        self.readers = asyncio.Semaphore(4)
        """So many subscribers of a process read at the same time; requests need connections too."""
        self._url = url
        self._at_most = at_most
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._listening = asyncio.Event()

    @asynccontextmanager
    async def subscribe(
        self, accepts: Callable[[Change], bool], *, is_state: bool = False
    ) -> AsyncIterator[Subscription]:
        """Hear what is accepted of all that is committed while the block runs.

        Errors: LIMIT_EXCEEDED with too many subscribers, UNAVAILABLE when the database cannot be listened to.
        """
        if len(self._subscriptions) >= self._at_most:
            raise LimitExceeded(
                ErrorCode.LIMIT_EXCEEDED, f"This server has {self._at_most} subscriptions already; use another one."
            )
        subscription = Subscription(accepts, is_state=is_state, size=self._queue)
        self._subscriptions.add(subscription)
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._listen(self._listening))
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await self._listening.wait()
            except TimeoutError:
                raise Unavailable(ErrorCode.UNAVAILABLE, "The database cannot be listened to now; try again.") from None
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._stop()

    async def close(self) -> None:
        """Hear nothing any more; who still listens waits in vain."""
        self._stop()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _stop(self) -> None:
        task, self._task, self._listening = self._task, None, asyncio.Event()
        if task is not None:
            # Its connection is closed on the way out; until then somebody must hold the task.
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _listen(self, listening: asyncio.Event) -> None:
        """Listen until cancelled; a connection that is lost is made again after growing pauses."""
        pause = 0.0
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True, **_ALIVE) as connection:
                    await connection.execute(f"listen {CHANNEL}")
                    pause = 0.0
                    listening.set()
                    for subscription in list(self._subscriptions):
                        if subscription.is_state:
                            subscription.hear(None)
                    await self._hear(connection)
            except Exception as error:
                # Whatever it was: without this task nobody would hear anything again.
                log.warning("not listening", reason=type(error).__name__)
            for subscription in list(self._subscriptions) if listening.is_set() else ():
                subscription.interrupt()
            listening.clear()
            pause = min(LONGEST_PAUSE, pause * 2 or 0.2)
            await asyncio.sleep(pause)

    async def _hear(self, connection: AsyncConnection[Any]) -> None:
        while True:
            async for told in connection.notifies(timeout=PROBE_SECONDS):
                change = _read(told.payload)
                for subscription in list(self._subscriptions) if change else ():
                    subscription.hear(change)
            async with asyncio.timeout(PROBE_SECONDS):
                await connection.execute("select 1")


def _read(payload: str) -> Change | None:
    """What the database told; None for what somebody else says on the channel."""
    kind, *found = payload.split(" ")
    try:
        return Change(kind, *(UUID(text) for text in found[:2]))
    except (TypeError, ValueError):
        return None
