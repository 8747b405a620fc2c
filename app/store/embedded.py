"""Starts, joins and stops a private PostgreSQL when no DATABASE_URL is given.

Owns one data folder: `pg/` (the cluster), `password` and two lock files. Any number of processes may use the same
folder: the first starts the server, later ones join it, the last one out stops it, and after a `kill -9` of everything
the next start takes over. Which binaries run is decided in `binaries.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.store import binaries

USER = "metrograph"
ORPHAN_WAIT_SECONDS = 10.0

# Runs in its own session, as the same user as its owner. When the owner's end of the pipe closes (exit or kill -9) it
# waits for the start lock; if nobody else holds the users' lock, it sends the server a fast shutdown.
_WATCHDOG = """
import fcntl, os, signal, sys, time
data, users, start = sys.argv[1:4]
sys.stdin.buffer.read()
with open(start, "a") as gate:
    fcntl.flock(gate, fcntl.LOCK_EX)
    with open(users, "a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(0)
        pid_file = os.path.join(data, "postmaster.pid")
        try:
            pid = int(open(pid_file).readline())
            os.kill(pid, signal.SIGINT)
        except (OSError, ValueError):
            sys.exit(0)
        for _ in range(600):
            if not os.path.exists(pid_file):
                break
            time.sleep(0.05)
"""


@dataclass(slots=True)
class Cluster:
    """A running private server. `url(database)` is a libpq URL; `stop()` leaves, and stops it if we were the last."""

    data_dir: Path
    socket_dir: Path
    password: str
    _users: int
    _watchdog: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """A `postgresql://` URL of one database of this server."""
        return f"postgresql://{USER}:{self.password}@/{quote(database)}?host={quote(str(self.socket_dir))}"

    def stop(self) -> None:
        """Leave the server; the last one out ends it, and this call returns when it has ended."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
            self._watchdog.wait(timeout=60)

    def has_database(self, name: str) -> bool:
        """Whether a database of that name exists."""
        with self._admin() as connection:
            return connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is not None

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """Create a database, copied from a template to which nobody may be connected."""
        with self._admin() as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
            )

    def rename_database(self, name: str, new_name: str) -> None:
        """Give a database to which nobody is connected another name."""
        with self._admin() as connection:
            connection.execute(
                sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(new_name))
            )

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, ending whoever is connected to it."""
        with self._admin() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres"), autocommit=True)


def start(data_dir: Path, *, durable: bool = True) -> Cluster:
    """Start or join the private server of a data folder.

    `durable=False` switches off fsync, for tests only. Errors: `NoPostgres` with what to do; `RuntimeError` when
    processes of a dead server still hold the folder.
    """
    account = binaries.server_account()
    folder = _folder(data_dir.resolve(), account)
    folder.mkdir(parents=True, exist_ok=True)
    if account.is_other:
        folder.chmod(0o711)  # the account must pass through to `pg/`, which is its own
    pg = folder / "pg"
    with _locked(folder / "start.lock"):
        version_file = pg / "PG_VERSION"
        version = version_file.read_text().strip() if version_file.exists() else None
        tools = binaries.find(account, version=version)
        password = _password(folder)
        if version is None:
            _initialize(tools, account, pg, password)
        users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        socket_dir = _running(pg)
        if socket_dir is None:
            _clear_stale(pg)
            socket_dir = _launch(tools, account, pg, durable=durable)
        watchdog = subprocess.Popen(  # noqa: S603
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _WATCHDOG,
                str(pg),
                *(str(folder / f"{lock}.lock") for lock in ("users", "start")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    return Cluster(pg, socket_dir, password, users, watchdog)


def _folder(wanted: Path, account: binaries.Account) -> Path:
    if account.reaches(wanted):
        return wanted
    return binaries.STATE_ROOT / f"data-{hashlib.sha256(str(wanted).encode()).hexdigest()[:16]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _password(folder: Path) -> str:
    file = folder / "password"
    if not file.exists():
        part = folder / f"password.part-{os.getpid()}"
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(24))
        part.rename(file)
    return file.read_text().strip()


def _initialize(tools: Path, account: binaries.Account, pg: Path, password: str) -> None:
    """Make the cluster under another name first: a folder called `pg` is always a whole one."""
    part = Path(tempfile.mkdtemp(prefix="pg.part-", dir=pg.parent))
    account.own(part)
    secret = Path(tempfile.mkdtemp(prefix="mg-init-"))
    try:
        (secret / "password").write_text(password)
        if account.is_other:
            os.chown(secret / "password", account.uid, account.gid)
        account.own(secret)
        made = account.run(
            tools / "initdb",
            "-D",
            part,
            "-U",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={secret / 'password'}",
            "-E",
            "UTF8",
            "--locale=C",
            check=False,
        )
        if made.returncode != 0:
            raise binaries.NoPostgres(f"initdb failed: {(made.stderr or made.stdout).strip()[-600:]}")
        if pg.exists():  # without PG_VERSION: the rest of an interrupted copy, never a cluster
            pg.rename(pg.with_name(f"pg.broken-{secrets.token_hex(4)}"))
        part.rename(pg)
    finally:
        shutil.rmtree(secret, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)


def _running(pg: Path) -> Path | None:
    """The socket folder of a live server of this data folder, or None."""
    try:
        lines = (pg / "postmaster.pid").read_text().splitlines()
        pid, socket_dir = int(lines[0]), Path(lines[4])
    except (OSError, IndexError, ValueError):
        return None
    return socket_dir if pid in _processes_in(pg) and (socket_dir / ".s.PGSQL.5432").exists() else None


def _processes_in(pg: Path) -> set[int]:
    """Processes whose working folder is the data folder: the server and its backends, and nobody else."""
    if not Path("/proc/self").exists():  # not Linux: believe the pid file if its process answers
        try:
            pid = int((pg / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, 0)
        except (OSError, IndexError, ValueError):
            return set()
        return {pid}
    found: set[int] = set()
    real = os.path.realpath(pg)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == real:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def _clear_stale(pg: Path) -> None:
    """Remove what a killed server left, once nothing works in the folder any more.

    The pid file is PostgreSQL's own guard, and its pid may belong to a stranger by now; removing it is safe only after
    the last orphaned backend has gone.
    """
    deadline = time.monotonic() + ORPHAN_WAIT_SECONDS
    while orphans := _processes_in(pg):
        if time.monotonic() > deadline:
            for pid in orphans:
                os.kill(pid, signal.SIGQUIT)
            time.sleep(1)
            if left := _processes_in(pg):
                raise RuntimeError(f"Processes {sorted(left)} of a dead server still work in {pg}; end them first.")
            break
        time.sleep(0.05)
    (pg / "postmaster.pid").unlink(missing_ok=True)


def _launch(tools: Path, account: binaries.Account, pg: Path, *, durable: bool) -> Path:
    # A socket path is limited to 107 bytes, so the folder lies in the temporary folder under a short name.
    name = hashlib.sha256(str(pg).encode()).hexdigest()[:10]
    socket_dir = Path(tempfile.gettempdir()) / f"mg-{os.geteuid()}-{name}"
    if not account.reaches(socket_dir):
        socket_dir = Path("/tmp") / socket_dir.name  # noqa: S108 - a closed TMPDIR of root's own
    socket_dir.mkdir(mode=0o700, exist_ok=True)
    if socket_dir.stat().st_uid not in {account.uid, os.geteuid()}:
        raise RuntimeError(f"{socket_dir} belongs to another user; remove it.")
    account.own(socket_dir)
    for stale in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (socket_dir / stale).unlink(missing_ok=True)
    options = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{socket_dir}'",
        "port": "5432",
        "timezone": "UTC",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
    } | ({} if durable else {"fsync": "off", "full_page_writes": "off"})
    started = account.run(
        tools / "pg_ctl",
        "-D",
        pg,
        "-w",
        "-t",
        "60",
        "-l",
        pg / "server.log",
        "-o",
        " ".join(f"-c {key}={value}" for key, value in options.items()),
        "start",
        check=False,
    )
    if started.returncode != 0:
        log = (pg / "server.log").read_text(errors="replace")[-800:] if (pg / "server.log").exists() else ""
        raise binaries.NoPostgres(
            f"PostgreSQL did not start: {(started.stderr or started.stdout).strip()[-300:]} {log}"
        )
    return socket_dir
