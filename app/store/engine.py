"""The connection to PostgreSQL: one pool for everything, one transaction per request or job step.

Owns `Store`. SQLAlchemy, COPY and the job engine draw on the same psycopg pool, so that a job can be enqueued on the
connection of the change that needs it. What happens inside a transaction is the services' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.abc import RV, PQGen
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from app.errors import ErrorCode, Unavailable
from app.store.listening import Listener

BUSY = (pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure, pg.QueryCanceled, pg.TooManyConnections)
GONE = (pg.OperationalError, pg.InterfaceError)
_LAST = "metrograph.before_commit"


class _Connection(psycopg.AsyncConnection[Any]):
    """A connection that is no longer used once somebody was broken off in the middle of a word with the server.

    Whether the answer was read to the end is not known then, and the next one to use it would be given a part of it.
    """

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return await super().wait(gen, interval, timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise

    async def close(self) -> None:
        """Give it back also when it is closed already: the pool would hold its place for ever, and has fewer each time."""
        pool: AsyncConnectionPool[Any] | None = getattr(self, "_pool", None)
        if pool is None or not self.closed:
            await super().close()
        else:
            await pool.putconn(self)
            self._pool = None


class Store:
    """A pool of connections to one database. `open()` before use, `close()` at the end."""

    def __init__(self, url: str, *, max_connections: int = 20, wait_seconds: float = 10.0) -> None:
        self.url = libpq_url(url)
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            self.url,
            min_size=1,
            max_size=max_connections,
            timeout=wait_seconds,
            open=False,
            close_returns=True,
            connection_class=_Connection,
            check=AsyncConnectionPool.check_connection,
            name="metrograph",
            # A caller waits at most this long for somebody else's lock; then it hears that the store is busy.
            kwargs={"options": f"-c lock_timeout={int(wait_seconds * 1000)} -c timezone=UTC"},
        )
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://", poolclass=NullPool, async_creator=self.pool.getconn
        )
        self.listener = Listener(self.url)

    async def open(self) -> Store:
        """Open the pool; raises when the database does not answer."""
        await self.pool.open(wait=True, timeout=30)
        return self

    async def close(self) -> None:
        """Give everything back."""
        await self.listener.close()
        await self.engine.dispose()
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self, *, session_class: type[AsyncSession] = AsyncSession) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed when the block ends, rolled back when it raises.

        Errors: `Unavailable` when the database is busy (locks, pool) or gone, so that no caller meets a driver's words.
        """
        try:
            async with session_class(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
                await _finish(session)
        except DBAPIError as error:
            if isinstance(error.orig, (*BUSY, *GONE)):
                raise _unavailable(error.orig) from error
            raise
        except (*BUSY, *GONE) as error:
            raise _unavailable(error) from error


def before_commit(session: AsyncSession | Session, name: str, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Have something done last in the transaction of a session, once for each name, however often it is asked for.

    It is not done when the transaction is rolled back, and it is when a savepoint was: it looks at what is left.
    """
    session.info.setdefault(_LAST, {})[name] = work


async def _finish(session: AsyncSession) -> None:
    await session.flush()
    while found := session.info.pop(_LAST, None):
        for work in found.values():
            await work(session)
        await session.flush()


def _unavailable(error: BaseException) -> Unavailable:
    if isinstance(error, PoolTimeout):
        return Unavailable(ErrorCode.UNAVAILABLE, "All database connections are in use; try again.")
    return Unavailable(ErrorCode.UNAVAILABLE, "The database is busy or restarting; nothing was changed, try again.")


async def raw_connection(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """The session's own psycopg connection, inside its transaction: for COPY and for enqueuing jobs."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    return raw.driver_connection


def libpq_url(url: str) -> str:
    """Accept SQLAlchemy's spellings of a PostgreSQL URL too."""
    for spelling in ("postgresql+psycopg://", "postgresql+asyncpg://", "postgres://"):
        if url.startswith(spelling):
            return "postgresql://" + url.removeprefix(spelling)
    return url
