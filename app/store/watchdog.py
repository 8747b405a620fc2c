"""Ends the private PostgreSQL when its last user is gone, however that one went.

A program of its own, run with `python -I -S watchdog.py DATA USERS_LOCK START_LOCK` in its own session and as the same
user as its owner. Standard library only: it starts beside every user of the server. When the owner's end of the pipe
closes (exit or kill -9), it waits for the start lock; if nobody else holds the users' lock, it asks the server for a
fast shutdown. An owner that leaves in order says so with one byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

STOP_SECONDS = 30.0
# The files of a killed process are closed in no particular order: for a moment after the pipe has ended, the owner's
# own hold on the users' lock may still be there.
DEATH_SECONDS = 2.0


def main(data: str, users: str, start: str) -> None:
    """Wait for the owner's end, then stop the server unless somebody else uses it."""
    said_goodbye = sys.stdin.buffer.read()
    deadline = time.monotonic() + (0 if said_goodbye else DEATH_SECONDS)
    while not _stop_unless_used(data, users, start) and time.monotonic() < deadline:
        time.sleep(0.02)


def _stop_unless_used(data: str, users: str, start: str) -> bool:
    """True when nobody else used it, and the server has ended."""
    with open(start, "a") as gate, open(users, "a") as held:
        fcntl.flock(gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        found = _server(data)
        if found is None:
            return True
        pid, socket_dir = found
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while os.path.exists(os.path.join(data, "postmaster.pid")) and time.monotonic() < deadline:
            time.sleep(0.02)
        with contextlib.suppress(OSError):  # not empty: then it is somebody else's business
            os.rmdir(socket_dir)
        return True


def _server(data: str) -> tuple[int, str] | None:
    """The server's process and socket folder; never a stranger who got the number of a dead one."""
    try:
        with open(os.path.join(data, "postmaster.pid")) as file:
            lines = file.read().splitlines()
        pid, socket_dir = int(lines[0]), lines[4]
        os.kill(pid, 0)
        works_there = not os.path.exists("/proc/self") or os.path.samefile(f"/proc/{pid}/cwd", data)
    except (OSError, ValueError, IndexError):
        return None
    return (pid, socket_dir) if works_there else None


if __name__ == "__main__":
    main(*sys.argv[1:4])
