"""Looks at what runs in a data folder: a live server, a dead one's leftovers, or nothing.

Owns the rule by which a server is told from a stranger: it works in the data folder. A process number alone proves
nothing, because numbers are given out again.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from app.store.binaries import NoPostgres

ORPHAN_WAIT_SECONDS = 10.0


def settle(pg: Path) -> Path | None:
    """The socket folder of a live server of this data folder; None when nothing is left of any.

    Called under the start lock. A server that is still starting is waited for; orphaned backends of a killed one are
    waited for and then ended, and only after the last of them the pid file goes: it is PostgreSQL's own guard.
    Errors: `NoPostgres` when processes stay.
    """
    deadline = time.monotonic() + ORPHAN_WAIT_SECONDS
    while orphans := _processes_in(pg):
        if ready := _ready(pg, orphans):
            return ready
        if time.monotonic() > deadline:
            _end(pg, orphans)
            break
        time.sleep(0.05)
    (pg / "postmaster.pid").unlink(missing_ok=True)
    return None


def _ready(pg: Path, processes: set[int]) -> Path | None:
    try:
        lines = (pg / "postmaster.pid").read_text().splitlines()
        pid, socket_dir, status = int(lines[0]), Path(lines[4]), lines[7].strip()
    except (OSError, IndexError, ValueError):
        return None
    return socket_dir if pid in processes and status == "ready" and (socket_dir / ".s.PGSQL.5432").exists() else None


def _end(pg: Path, orphans: set[int]) -> None:
    for pid in orphans:
        try:
            os.kill(pid, signal.SIGQUIT)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + 5
    while left := _processes_in(pg):
        if time.monotonic() > deadline:
            raise NoPostgres(f"Processes {sorted(left)} of a dead server still work in {pg}; end them first.")
        time.sleep(0.05)


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
