"""The sandbox's provider accounts: stand-ins that answer over HTTP, on loopback, inside this process.

Owns their addresses and their make-believe credentials. They exist only in a sandbox that names no connections of its
own; their state lies in the database and so outlives the process.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import uvicorn

from app.settings import Settings
from connectors.sandbox.app import create_app
from connectors.sandbox.entra import CLIENT, TENANT
from connectors.sandbox.receiver import SECRET as RECEIVER_SECRET

TOPIC = "arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-sandbox"
"""The topic whose messages the sandbox's account at AWS takes."""

CREDENTIALS = {
    "METROGRAPH_SANDBOX_STRIPE_KEY": "sk_test_sandbox",
    "METROGRAPH_SANDBOX_STRIPE_HOOK": "whsec_sandbox",
    "METROGRAPH_SANDBOX_AWS_SECRET": "sandbox-secret",
    "METROGRAPH_SANDBOX_AWS_EVENTS": "sandbox-events",
    "METROGRAPH_SANDBOX_AZURE_TOKEN": "sandbox-token",
    "METROGRAPH_SANDBOX_GCP_TOKEN": "sandbox-token",
    "METROGRAPH_SANDBOX_SIGNING": RECEIVER_SECRET,
}
"""What the stand-ins take for secrets; connections refer to secrets by name, so these have names too."""


def tables(*, stripe: str, aws: str, azure: str) -> dict[str, dict[str, Any]]:
    """The `[connections.NAME]` tables of the sandbox's accounts at the given base addresses."""
    return {
        "stripe-sandbox": {
            "provider": "stripe",
            "api_key": "env:METROGRAPH_SANDBOX_STRIPE_KEY",
            "webhook_secrets": ["env:METROGRAPH_SANDBOX_STRIPE_HOOK"],
            "api_base": stripe,
            "effective_at": "period_end",
            # A stand-in has no limit to stay below.
            "requests_per_second": 100,
        },
        "aws-sandbox": {
            "provider": "aws_marketplace",
            "access_key_id": "sandbox",
            "secret_access_key": "env:METROGRAPH_SANDBOX_AWS_SECRET",
            "endpoint_url": aws,
            "entitlement_endpoint_url": aws,
            "agreement_endpoint_url": aws,
            "payment_requests": True,
            "sns_topics": [TOPIC],
            "sns_base": aws,
            "webhook_secrets": ["env:METROGRAPH_SANDBOX_AWS_EVENTS"],
        },
        "azure-sandbox": {
            "provider": "azure_marketplace",
            "static_token": "env:METROGRAPH_SANDBOX_AZURE_TOKEN",
            "api_base": azure,
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "openid_base": f"{azure.removesuffix('/api')}/entra",
        },
    }


def further_tables(base: str) -> dict[str, dict[str, Any]]:
    """Accounts that only stand-ins of our own have: Google Cloud, a system of the seller's, and a person."""
    return {
        "gcp-sandbox": {
            "provider": "gcp_marketplace",
            "static_token": "env:METROGRAPH_SANDBOX_GCP_TOKEN",
            "api_base": f"{base}/gcp",
        },
        "custom-sandbox": {
            "provider": "custom",
            "url": f"{base}/custom/hook",
            "signing_secrets": ["env:METROGRAPH_SANDBOX_SIGNING"],
        },
        "manual": {"provider": "manual"},
    }


@asynccontextmanager
async def accounts(
    settings: Settings, database_url: str, now: Callable[[], datetime]
) -> AsyncIterator[Mapping[str, dict[str, Any]]]:
    """The accounts: at the addresses that the settings give, else at stand-ins that run as long as this block."""
    given = (settings.stripe_api_base, settings.aws_metering_endpoint)
    if all(given):
        yield tables(stripe=str(given[0]), aws=str(given[1]), azure=settings.azure_api_base)
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(database_url, now),
                log_level="critical",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=1,
            )
        )
        # In a thread of its own, so that it neither takes the process's signals nor waits for a busy loop. The socket
        # listens already: an early caller waits in its queue.
        serving = asyncio.create_task(asyncio.to_thread(server.run, sockets=[listener]))
        try:
            yield {**tables(stripe=base, aws=base, azure=f"{base}/api"), **further_tables(base)}
        finally:
            server.should_exit = True
            await serving
