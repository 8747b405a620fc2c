"""The long-running commands: they answer, they say why they cannot start, and a signal ends them in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from tests.commands.conftest import NOW, ROOT, metrograph

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Start a command that stays."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("METROGRAPH_", "DATABASE_URL"))}
    env = {"DATABASE_URL": database_url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_CLOCK": NOW}
    running: list[subprocess.Popen[str]] = []

    def started(*arguments: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "app.cli", *arguments],
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**kept, "PYTHONPATH": str(ROOT), **env},
            )
        )
        return running[-1]

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def ready(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.1)


def others(database_url: str) -> int:
    """Connections that somebody else left open."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    return int(found[0][0])


def test_a_signal_ends_a_server_and_a_worker_in_order(start: Start, database_url: str) -> None:
    port = free_port()
    server = start("serve", "--port", str(port), "--with-worker")
    worker = start("worker", "--concurrency", "2")
    ready(f"http://127.0.0.1:{port}")
    assert worker.stderr is not None
    assert "Working on jobs, 2 at a time" in worker.stderr.readline()
    for process in (server, worker):
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=30) for process in (server, worker)] == [0, 0]
    assert others(database_url) == 0
    with psycopg.connect(database_url) as connection:
        left = connection.execute("select count(*) from procrastinate_workers").fetchall()
    assert left == [(0,)], "workers have signed off"


def test_a_taken_port_is_said_at_once(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = {"DATABASE_URL": database_url, "METROGRAPH_ENVIRONMENT": "sandbox"}
        found = metrograph("serve", "--port", port, env=env)
        assert (found.code, found.out) == (1, "")
        assert f"127.0.0.1:{port} cannot be used" in found.err
        demo = metrograph("demo", "--port", port, env={})
        assert (demo.code, demo.out) == (1, "")


def test_production_needs_a_secret_key(database_url: str) -> None:
    found = metrograph("serve", env={"DATABASE_URL": database_url})
    assert found.code == 2
    assert "METROGRAPH_SECRET_KEY" in found.err
