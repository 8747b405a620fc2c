"""Processes that tests run, kill and look at: forked from one parent that has imported the gateway and its SDKs.

A new interpreter would import for seconds in each of hundreds of them. That `python -m app.cli` itself works is shown by
`tests/commands/test_serve.py`, `tests/test_readme.py` and the stress test of billing runs.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.forked import STREAMS, run_command

ROOT = Path(__file__).resolve().parents[1]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.forked", "tests.connectors.world", "tests.delivery.matrix"])


class Command:
    """A `metrograph` process; the interface is that of `subprocess.Popen`, as far as tests use it."""

    def __init__(self, *arguments: str, env: Mapping[str, str], stdin: str = "", cwd: Path = ROOT) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="metrograph-command-"))
        for name in STREAMS:
            (self._folder / name).write_text(stdin if name == "in" else "", encoding="utf-8")
        given = (list(arguments), dict(env), str(cwd), str(self._folder))
        self._process = FORKS.Process(target=run_command, args=given)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for the signal that killed it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """See `returncode`."""
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Wait for its end; what it said on stdout and stderr. One that does not end in time is killed, and fails."""
        self._process.join(timeout)
        is_late = self._process.is_alive()
        if is_late:
            self._process.kill()
            self._process.join()
        out, err = ((self._folder / name).read_text(encoding="utf-8") for name in STREAMS[1:])
        shutil.rmtree(self._folder)
        assert not is_late, f"no end after {timeout} s: {err}"
        return out, err
