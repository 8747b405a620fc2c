"""Fixtures that every test may use: a private PostgreSQL, a fresh database for each test, a clock that stands still.

One server serves the whole run (all parallel workers join it); each test gets its own database, copied from a migrated
template in a few hundredths of a second. There is no fake of the database anywhere.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from app.store import embedded, migrate, throwaway
from app.store.engine import Store

TEMPLATE = "metrograph_template"
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def rare_collections() -> None:
    """What was imported stays for the whole run, and is not looked through again and again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Every store of the run has the dialect of the first one that was connected: what that learned of the server need not
    be asked again, and a statement is compiled once a run, as in the life of a server, not once a test."""
    build, shared = Store.__init__, dict[str, Engine]()

    def built(store: Store, *given: Any, **options: Any) -> None:
        build(store, *given, **options)
        engine = store.engine.sync_engine
        first = shared.setdefault("first", engine)
        if getattr(first.dialect, "server_version_info", None) is None:
            shared["first"] = engine
        elif first is not engine:
            pool = first.pool.recreate()
            pool._creator = engine.pool._creator
            engine.pool, engine.dialect, engine._compiled_cache = pool, first.dialect, first._compiled_cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "__init__", built)
        yield


@pytest.fixture(scope="session")
def cluster(testrun_uid: str) -> Iterator[embedded.Cluster]:
    """The private server of this run, with a migrated template database."""
    folder = throwaway.base() / f"metrograph-tests-{os.getuid()}-{testrun_uid[:12]}"
    folder.mkdir(mode=0o711, exist_ok=True)
    server = embedded.start(folder, durable=False)
    with (folder / "template.lock").open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        if not server.has_database(TEMPLATE):
            server.create_database(f"{TEMPLATE}_part")
            migrate.upgrade(server.url(f"{TEMPLATE}_part"))
            server.rename_database(f"{TEMPLATE}_part", TEMPLATE)
    yield server
    server.stop()
    if not (server.data_dir / "postmaster.pid").exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def testrun_uid(request: pytest.FixtureRequest) -> str:
    """One name for the whole run, also without parallel workers."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex


@pytest.fixture
def database_url(cluster: embedded.Cluster) -> Iterator[str]:
    """A fresh migrated database of this test's own."""
    name = f"t_{uuid.uuid4().hex}"
    cluster.create_database(name, template=TEMPLATE)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database."""
    opened = await Store(database_url, max_connections=10).open()
    yield opened
    await opened.close()


@pytest.fixture
def now() -> datetime:
    """The instant that tests call now."""
    return NOW
