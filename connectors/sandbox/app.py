"""The stand-ins as one ASGI app: Stripe below `/v1`, Azure below `/api`, Google below `/gcp`, a system of the seller's own
below `/custom`, AWS at the root, and what signs their notices.

Owns only the wiring. It runs in a process of its own (`python -m connectors.sandbox`) or mounted in another app; the
real connectors reach it through their base addresses and notice no difference.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from connectors.sandbox import (
    aws,
    aws_entitlements,
    aws_payments,
    azure,
    azure_saas,
    control,
    entra,
    gcp,
    receiver,
    sns,
    stripe,
    stripe_hooks,
)
from connectors.sandbox.store import Clock, SandboxStore


def create_app(dsn: str, clock: Clock) -> Starlette:
    """The app over a PostgreSQL database; its schema `sandbox` is made at the first call."""
    store = SandboxStore(dsn, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await store.close()

    providers = (
        *(stripe_hooks, stripe, azure, azure_saas, gcp, receiver),
        *(aws, aws_entitlements, aws_payments, entra, sns),
    )
    tables = (control.routes(store), *(provider.routes(store) for provider in providers))
    app = Starlette(routes=[route for table in tables for route in table], lifespan=lifespan)
    # Where the app is mounted, nobody runs its lifespan: the outer app closes the store.
    app.state.store = store
    return app
