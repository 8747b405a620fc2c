"""Users of private servers, each a process of its own, in folders that the server's account can reach."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store import throwaway

ROOT = Path(__file__).resolve().parents[2]


class User:
    """One process that uses a private server."""

    def __init__(self, folder: Path, state_root: Path, options: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("user.py")), str(folder), str(state_root), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._said: dict[str, Any] = {}

    @property
    def said(self) -> dict[str, Any]:
        """What it told about itself; waits for the server."""
        if not self._said:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, "the user ended without a word"
            self._said = json.loads(line)
        return self._said

    @property
    def data(self) -> Path:
        assert "data" in self.said, self.said
        return Path(self.said["data"])

    def leave(self) -> None:
        """End in order; returns when it has left, and the server too if it was the last."""
        if self.process.poll() is None:
            assert self.said
            self.process.communicate(timeout=40)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def postmaster_of(data: Path) -> int | None:
    """The number in the pid file, when there is one."""
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, IndexError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(happened: Callable[[], object], *, seconds: float = 10) -> float:
    """Wait for something; gives the seconds it took."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < seconds, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any account may pass through; whatever still runs in it is ended afterwards."""
    folder = throwaway.folder("mg-test-")
    yield folder
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd").startswith(f"{folder}/"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def use(place: Path) -> Iterator[Callable[..., User]]:
    """Start users of a folder (by default one and the same); the last of them are ended with the test."""
    users: list[User] = []

    def start(*options: str, folder: Path | None = None) -> User:
        users.append(User(folder or place / "data", place / "state", options))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.kill()
    for user in users:
        if "socket" in user.said:
            wait_until(lambda user=user: not is_alive(user.said["watchdog"]), seconds=40)
            shutil.rmtree(user.said["socket"], ignore_errors=True)
