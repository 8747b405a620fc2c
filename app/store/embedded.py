"""Starts, joins and takes over a private PostgreSQL when no DATABASE_URL is given.

Owns one data folder: `pg/` (the cluster), `password` and two lock files. Any number of processes may use the same
folder: the first starts the server, later ones join it, the last one out stops it (`watchdog.py`), and after a
`kill -9` of everything the next start takes over (`postmaster.py`). Which binaries run is decided in `binaries.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.store import binaries, postmaster, watchdog
from app.store.binaries import Account, NoPostgres
from app.store.cluster import SUPERUSER, Cluster

THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
}
"""A server whose data nobody wants back: what only keeps it safe, or fit for a long life, is left out."""


def start(data_dir: Path, *, durable: bool = True, state_root: Path = binaries.STATE_ROOT) -> Cluster:
    """Start or join the private server of a data folder.

    `durable=False` switches off fsync, for tests only; `state_root` takes what the server's account cannot reach where
    it was wanted. Errors: `NoPostgres` with what to do.
    """
    account = binaries.server_account()
    try:
        folder = _folder(data_dir.resolve(), account, state_root)
        with _locked(folder / "start.lock"):
            return _start(folder, account, durable=durable, state_root=state_root)
    except PermissionError as error:
        raise NoPostgres(f"No permission for {error.filename}: the data folder belongs to another account.") from error


def _start(folder: Path, account: Account, *, durable: bool, state_root: Path) -> Cluster:
    pg = folder / "pg"
    version_file = pg / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else None
    password = _password(folder)
    users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        socket_dir = postmaster.settle(pg)
        if socket_dir is None:
            tools = binaries.find(account, version=version, state_root=state_root)
            if version is None:
                _initialize(tools, account, pg, password)
            guard = _watch(folder)
            socket_dir = _launch(tools, account, pg, durable=durable)
        else:
            guard = _watch(folder)
    except BaseException:
        os.close(users)
        raise
    return Cluster(pg, socket_dir, password, users, guard)


def _watch(folder: Path) -> subprocess.Popen[bytes]:
    """Set the watchdog up before the server starts, so that a kill in between leaves no server behind."""
    places = (folder / "pg", folder / "users.lock", folder / "start.lock")
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", watchdog.__file__, *map(str, places)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def _folder(wanted: Path, account: Account, state_root: Path) -> Path:
    """The wanted folder, or root's own place for it when the server's account cannot get at the wanted one.

    What was decided at the first start stays, also when somebody opens or closes a home later: data never seems lost.
    """
    elsewhere = state_root / f"data-{hashlib.sha256(str(wanted).encode()).hexdigest()[:16]}"
    reaches, has_data = account.reaches(wanted), (wanted / "pg" / "PG_VERSION").exists()
    if has_data and not reaches:
        raise NoPostgres(
            f"The server's account cannot reach the data in {wanted}; open the folders above it (chmod o+x)."
        )
    chosen = wanted
    if account.is_other and not has_data and (not reaches or (elsewhere / "pg" / "PG_VERSION").exists()):
        chosen = elsewhere
        state_root.mkdir(parents=True, exist_ok=True)
        state_root.chmod(0o755)
    missing = [place for place in chosen.parents if not place.exists()]
    chosen.mkdir(parents=True, exist_ok=True)
    if account.is_other:
        for place in (chosen, *missing):  # the account must pass through to `pg/`, which is its own
            place.chmod(0o711)
    return chosen


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _password(folder: Path) -> str:
    file = folder / "password"
    if not file.exists():
        part = folder / "password.part"
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(24))
        part.rename(file)
    return file.read_text().strip()


def _initialize(tools: Path, account: Account, pg: Path, password: str) -> None:
    """Make the cluster under another name first: a folder called `pg` is always a whole one."""
    part, secret = pg.with_name("pg.part"), pg.with_name("initdb.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a start that was killed
    part.mkdir()
    account.own(part)
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account.is_other:
        os.chown(secret, account.uid, account.gid)
    try:
        made = account.run(
            *(tools / "initdb", "-D", part, "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={secret}"),
            *("-E", "UTF8", "--locale=C"),
            check=False,
        )
        if made.returncode != 0:
            raise NoPostgres(f"initdb failed: {(made.stderr or made.stdout).strip()[-600:]}")
        if pg.exists():  # without PG_VERSION: the rest of an interrupted copy, never a cluster
            pg.rename(pg.with_name(f"pg.broken-{secrets.token_hex(4)}"))
        part.rename(pg)
    finally:
        secret.unlink(missing_ok=True)
        shutil.rmtree(part, ignore_errors=True)


def _launch(tools: Path, account: Account, pg: Path, *, durable: bool) -> Path:
    socket_dir = _socket_folder(account, pg)
    options = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{socket_dir}'",
        "port": "5432",
        "timezone": "UTC",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
    } | ({} if durable else THROWAWAY)
    started = account.run(
        *(tools / "pg_ctl", "-D", pg, "-w", "-t", "60", "-l", pg / "server.log"),
        *("-o", " ".join(f"-c {key}={value}" for key, value in options.items()), "start"),
        check=False,
    )
    if started.returncode != 0:
        log = (pg / "server.log").read_text(errors="replace")[-800:] if (pg / "server.log").exists() else ""
        raise NoPostgres(f"PostgreSQL did not start: {(started.stderr or started.stdout).strip()[-300:]} {log}")
    return socket_dir


def _socket_folder(account: Account, pg: Path) -> Path:
    """An empty folder of the account's own. A socket's path has 107 bytes at most, so it is a short one elsewhere."""
    name = f"mg-{os.geteuid()}-{hashlib.sha256(str(pg).encode()).hexdigest()[:10]}"
    folder = Path(tempfile.gettempdir()) / name
    if not account.reaches(folder) or len(os.fsencode(folder)) > 80:
        folder = Path("/tmp") / name  # noqa: S108 - a TMPDIR that is closed or deep
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
        raise NoPostgres(f"{folder} belongs to another user; remove it.")
    account.own(folder)
    for stale in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (folder / stale).unlink(missing_ok=True)
    return folder
