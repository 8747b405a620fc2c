"""`metrograph serve` and `metrograph worker`: the long-running processes."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app import web_invoices, web_marketplace, web_notices, web_usage
from app.commands import shell
from app.commands.shell import note
from app.main import create_app
from app.runtime import Runtime, opened
from app.settings import BadSettings, require_secret
from app.worker import WorkerHealth, working

GRACEFUL_SECONDS = 10


def application(runtime: Runtime, *, health: WorkerHealth | None = None) -> Starlette:
    """The ASGI application of an open deployment; readiness includes the worker when one runs inside."""

    async def worker_check() -> str | None:
        return None if health is None or health.is_running else "the job worker is restarting"

    return create_app(
        runtime.settings,
        runtime.store,
        runtime.clock,
        providers=runtime.connections,
        checks={} if health is None else {"worker": worker_check},
        routes=[
            *web_usage.usage_routes(runtime.settings, runtime.store, runtime.clock),
            *web_invoices.invoice_routes(runtime.settings, runtime.store, runtime.clock),
            *web_notices.notice_routes(runtime.store, runtime.clock, runtime.connections),
            *web_marketplace.marketplace_routes(runtime.settings, runtime.store, runtime.clock, runtime.connections),
        ],
    )


def bound(host: str, port: int) -> socket.socket:
    """The address to serve at, taken before anything long begins; ends the command when somebody else has it."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        shell.fail(f"{host}:{port} cannot be used: {error.strerror}. Choose another with --host and --port.")
    return listener


async def serve(runtime: Runtime, listener: socket.socket, *, with_worker: bool) -> None:
    """Serve until a signal ends it: requests are finished, jobs given back, then the deployment is closed."""
    async with AsyncExitStack() as stack:
        health = WorkerHealth() if with_worker else None
        if health is not None:
            await stack.enter_async_context(working(runtime, health=health))
        server = uvicorn.Server(
            uvicorn.Config(
                application(runtime, health=health),
                log_config=None,
                access_log=False,
                server_header=False,
                ws="websockets-sansio",
                # An open stream would otherwise hold the process for ever.
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
            )
        )
        # The server repeats the signal that ended it, which would kill the process before the worker and the database
        # are left in order; these handlers take it.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: None)
        host, port = listener.getsockname()[:2]
        note(f"Metrograph answers at http://{host}:{port}/graphql (health: /healthz, readiness: /readyz)")
        await server.serve(sockets=[listener])


async def work(runtime: Runtime, *, concurrency: int, queues: list[str]) -> None:
    """Run jobs until a signal ends it; jobs under way are finished or given back."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with working(runtime, concurrency=concurrency, queues=queues):
        note(f"Working on jobs, {concurrency} at a time")
        await stop.wait()


def run_servers(*, host: str, port: int, workers: int, with_worker: bool) -> None:
    """Serve in this process, or in several that share the port; each of those opens the deployment by itself."""
    settings = shell.load_settings()
    try:
        require_secret(settings)
    except BadSettings as error:
        shell.fail(str(error), shell.Exit.USAGE)
    if workers == 1:
        with bound(host, port) as listener:
            shell.run(lambda runtime: serve(runtime, listener, with_worker=with_worker), settings=settings)
        return
    uvicorn.run(
        "app.commands.serve:worker_app" if with_worker else "app.commands.serve:plain_app",
        factory=True, host=host, port=port, workers=workers, log_config=None, access_log=False, server_header=False,
        ws="websockets-sansio", timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )  # fmt: skip


class Deployment:
    """An ASGI application that opens its deployment when the server starts it, for servers of several processes."""

    def __init__(self, *, with_worker: bool) -> None:
        self._with_worker = with_worker
        self._inner: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            assert self._inner is not None, "the server starts the lifespan first"
            await self._inner(scope, receive, send)
            return
        async with AsyncExitStack() as stack:
            await receive()
            try:
                runtime = await stack.enter_async_context(opened(shell.load_settings()))
                health = WorkerHealth() if self._with_worker else None
                if health is not None:
                    await stack.enter_async_context(working(runtime, health=health))
                self._inner = application(runtime, health=health)
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def worker_app() -> Deployment:
    """One of several server processes, with a job worker inside."""
    return Deployment(with_worker=True)


def plain_app() -> Deployment:
    """One of several server processes, without a job worker."""
    return Deployment(with_worker=False)
