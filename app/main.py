"""Builds the ASGI application: routes, middleware, lifespan.

Owns the wiring and nothing else. Everything that it needs is passed in, so that the command line, the demo and the
tests run the very same application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app import schema
from app.clock import Clock
from app.door import HttpDoor
from app.errors import BillingError
from app.graphql.execution import Gateway
from app.graphql.http import GraphQLEndpoint
from app.graphql.limits import Limits
from app.providers import NoProviders, ProviderDirectory
from app.settings import Settings
from app.store.engine import Store
from app.web import Check, Envelope, Metrics, health_routes

Service = Callable[[], AbstractAsyncContextManager[object]]
"""Something that lives as long as the application, such as the job worker."""


def create_app(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    limits: Limits | None = None,
    providers: ProviderDirectory | None = None,
    services: Sequence[Service] = (),
    checks: Mapping[str, Check] | None = None,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The application on an open or unopened store.

    `providers` are the accounts that can be billed through, `services` run while it runs, `checks` add to its
    readiness, `routes` come after our own.
    """
    metrics = Metrics()
    gateway = create_gateway(settings, store, clock, limits=limits, providers=providers)
    endpoint = GraphQLEndpoint(gateway, HttpDoor(settings), with_ide=settings.is_sandbox)
    ours: list[BaseRoute] = [
        *health_routes(metrics, {"database": _database_check(store), **(checks or {})}),
        *(Route(path, endpoint) for path in ("/graphql", "/graphql/")),
        *(WebSocketRoute(path, endpoint) for path in ("/graphql", "/graphql/")),
        *routes,
    ]
    known = frozenset(str(getattr(route, "path", "")).rstrip("/") for route in ours)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if store.pool.closed:
                await store.open()
                stack.push_async_callback(store.close)
            for service in services:
                await stack.enter_async_context(service())
            yield

    return Starlette(routes=ours, middleware=[Middleware(Envelope, metrics=metrics, routes=known)], lifespan=lifespan)


def create_gateway(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    limits: Limits | None = None,
    providers: ProviderDirectory | None = None,
) -> Gateway:
    """The GraphQL gateway alone, for commands that run documents in process."""
    built, documents = schema.build(limits or Limits())
    return Gateway(built, documents, store, clock, schema.write_audit, settings, providers or NoProviders())


def _database_check(store: Store) -> Check:
    async def check() -> str | None:
        try:
            async with store.transaction() as session:
                await session.execute(text("select 1"))
        except BillingError as error:
            return error.message
        return None

    return check
