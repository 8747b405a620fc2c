"""Runs the stand-ins in a process of their own: `python -m connectors.sandbox --dsn … --port …`.

Owns the command line. Leaves everything else to `create_app`. A process of its own is what a killed worker leaves
behind.
"""

from __future__ import annotations

import argparse
import socket
import sys

import uvicorn

from app.clock import Clock
from connectors.sandbox.app import create_app


def main() -> None:
    """Print the address, then serve until told to stop; open calls get one second to end."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox", description="Sandbox billing providers")
    parser.add_argument("--dsn", required=True, help="PostgreSQL connection string")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--clock", help="a fixed instant, or a file that holds one")
    options = parser.parse_args()
    app = create_app(options.dsn, Clock(options.clock).now)
    listener = socket.create_server((options.host, options.port))
    # Whoever started this learns the port that was chosen; calls wait in the listener until the server runs.
    sys.stdout.write(f"http://{options.host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
