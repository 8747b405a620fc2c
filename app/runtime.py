"""Everything a command or a server needs, opened in order and closed in reverse.

Owns the start: the private PostgreSQL when no DATABASE_URL is given, migrations, the pool, the provider accounts. The
doors (`main`, `worker`, `cli`) take a `Runtime` and open nothing themselves.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import OperationalError

from app import failpoints
from app.clock import Clock
from app.delivery.pace import share_paces
from app.delivery.registry import Connections, connect, read_tables
from app.errors import ErrorCode, Unavailable, settings_problem
from app.memory import settle_memory
from app.notices import noticing as _noticing  # noqa: F401 - the session tells what it writes
from app.settings import BadSettings, Settings
from app.store import embedded, migrate
from app.store.engine import Store, libpq_url
from app.usage.partitions_postgres import create_partitions

DATABASE = "metrograph"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One deployment, open."""

    settings: Settings
    store: Store
    clock: Clock
    connections: Connections


@asynccontextmanager
async def opened(settings: Settings, *, max_connections: int = 20) -> AsyncIterator[Runtime]:
    """Open a deployment: start or join its database, migrate it, connect its provider accounts."""
    async with AsyncExitStack() as stack:
        failpoints.arm(settings.failpoint)
        clock = settings.clock()
        # Accounts are read before anything starts: what is wrong with them is heard at once.
        connections = None if _has_stand_ins(settings) else _own_connections(settings, clock)
        url = settings.database_url
        if url is None:
            cluster = await asyncio.to_thread(embedded.start, settings.data_dir)
            stack.callback(cluster.stop)
            if not cluster.has_database(DATABASE):
                cluster.create_database(DATABASE)
            url = cluster.url(DATABASE)
        await asyncio.to_thread(_migrate, url)
        store = await Store(url, max_connections=max_connections).open()
        stack.push_async_callback(store.close)
        async with store.transaction() as session:
            await create_partitions(session, first=clock.now().date(), days=3)
        if connections is None:
            connections = await _stand_ins(stack, settings, store, clock)
        stack.push_async_callback(connections.close)
        share_paces(store, connections)
        settle_memory()
        yield Runtime(settings, store, clock, connections)


def _migrate(url: str) -> None:
    """Bring the schema up to date. A driver's words about an address may hold its password and are not passed on."""
    try:
        conninfo_to_dict(libpq_url(url))
    except psycopg.ProgrammingError:
        raise BadSettings([settings_problem("DATABASE_URL", "(hidden)", "not an address that can be read")]) from None
    try:
        migrate.upgrade(url)
    except OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(ErrorCode.UNAVAILABLE, f"The database does not answer: {reason}") from None


def _has_stand_ins(settings: Settings) -> bool:
    return settings.is_sandbox and settings.connections_file is None


def _own_connections(settings: Settings, clock: Clock) -> Connections:
    return connect(read_tables(settings.connections_file), environ=dict(os.environ), now=clock.now)


async def _stand_ins(stack: AsyncExitStack, settings: Settings, store: Store, clock: Clock) -> Connections:
    # All providers' SDKs come with the stand-ins, which only a sandbox has.
    from app import sandbox

    tables = await stack.enter_async_context(sandbox.accounts(settings, store.url, clock.now))
    environ = dict(os.environ) | sandbox.CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"}
    return connect(tables, environ=environ, now=clock.now)
