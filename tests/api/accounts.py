"""Provider accounts for tests that route invoices and send none: two at Stripe, one at Azure, none at AWS."""

from __future__ import annotations

from datetime import datetime

from app.delivery.registry import Connections, connect
from tests.connectors.world import CUSTOMERS, ENVIRON

STRIPE = CUSTOMERS["stripe"]
AZURE = CUSTOMERS["azure_marketplace"]
TABLES = {
    "us": {"provider": "stripe", "api_key": "env:STRIPE_KEY"},
    "eu": {"provider": "stripe", "api_key": "env:STRIPE_KEY"},
    "azure": {"provider": "azure_marketplace"},
}


def connections(now: datetime) -> Connections:
    """The accounts; close them when done."""
    return connect(TABLES, environ=ENVIRON, now=lambda: now)
