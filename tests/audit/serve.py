"""Serves the application for the audit suite: throwaway database, free loopback port, one key.

Runs the command that follows on its command line with the address and the key appended, and exits as it does. The
application is the real one; only its surroundings are temporary.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import sys
import tempfile
from pathlib import Path

import structlog
import uvicorn

from app.clock import Clock
from app.main import create_app
from app.settings import Settings
from app.store import embedded, migrate
from app.store.engine import Store


def main(command: list[str]) -> int:
    """Start everything, run the command against it, stop everything."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="mg-audit-") as folder:
        Path(folder).chmod(0o711)
        cluster = embedded.start(Path(folder), durable=False)
        try:
            cluster.create_database("audit")
            url = cluster.url("audit")
            migrate.upgrade(url)
            return asyncio.run(_serve(url, command))
        finally:
            cluster.stop()


async def _serve(url: str, command: list[str]) -> int:
    store = Store(url)
    key = secrets.token_urlsafe(32)
    app = create_app(Settings(environment="production", bootstrap_key=key), store, Clock())
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.02)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    process = await asyncio.create_subprocess_exec(*command, address, key)
    code = await process.wait()
    server.should_exit = True
    await serving
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
