"""Runs the stand-ins in a process of their own: `python -m connectors.sandbox --dsn … --port …`.

Owns the command line. Leaves everything else to `create_app`. A process of its own is what a killed worker leaves
behind.
"""

from __future__ import annotations

import argparse
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from connectors.sandbox.app import create_app
from connectors.sandbox.store import Clock


def make_clock(source: str | None) -> Clock:
    """Real time, a fixed RFC 3339 instant, or a file that holds one and is read at every use."""
    if not source:
        return lambda: datetime.now(UTC)
    path = Path(source)
    if path.exists():
        return lambda: _instant(path.read_text(encoding="utf-8").strip())
    fixed = _instant(source)
    return lambda: fixed


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2026-11-01T00:00:00Z")
    return instant.astimezone(UTC)


def main() -> None:
    """Print the address, then serve until told to stop; open calls get one second to end."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox", description="Sandbox billing providers")
    parser.add_argument("--dsn", required=True, help="PostgreSQL connection string")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--clock", help="a fixed instant, or a file that holds one")
    options = parser.parse_args()
    app = create_app(options.dsn, make_clock(options.clock))
    listener = socket.create_server((options.host, options.port))
    # Whoever started this learns the port that was chosen; calls wait in the listener until the server runs.
    sys.stdout.write(f"http://{options.host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
