"""A process that uses a private PostgreSQL: starts or joins it, says so in one line, and leaves when its input ends.

The launcher's tests run it, because what they are about is what happens between processes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from app.store import binaries, embedded, postmaster


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str, state_root: str, *options: str) -> None:
    for option in options:
        name, _, value = option.partition("=")
        if name == "roots":  # where system binaries are looked for
            binaries.SYSTEM_ROOTS = tuple(filter(None, value.split(",")))
            binaries.shutil.which = lambda _name: None
        elif name == "no-wheel":
            binaries._wheel = lambda _version: []
        elif name == "orphan-seconds":
            postmaster.ORPHAN_WAIT_SECONDS = float(value)
    try:
        cluster = embedded.start(Path(folder), durable=False, state_root=Path(state_root))
    except binaries.NoPostgres as error:
        say(json.dumps({"refused": str(error)}))
        return
    said = {
        "pid": os.getpid(),
        "watchdog": cluster._watchdog.pid,
        "data": str(cluster.data_dir),
        "socket": str(cluster.socket_dir),
        "url": cluster.url("postgres"),
    }
    say(json.dumps(said))
    sys.stdin.read()
    cluster.stop()
    say("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
