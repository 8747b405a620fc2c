"""Azure's traps: results in any order, duplicates with their quantity, tokens, settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import respx
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from app.core.period import Period
from connectors.azure_marketplace import AzureMarketplaceConfig, AzureMarketplaceConnector
from connectors.base import Connector, MeteringDocument, OutcomeStatus, Terminal, Transient
from connectors.http import Secret, SettingsError
from tests.connectors.world import CUSTOMERS, ENVIRON, NOW, Sandbox, record, slots, statuses

Connect = Callable[..., Connector]
ACCEPTED, COLLISION = OutcomeStatus.ACCEPTED, OutcomeStatus.COLLISION
REFUSED, UNKNOWN = OutcomeStatus.REFUSED, OutcomeStatus.UNKNOWN


async def test_azure_tells_what_the_slot_holds(connect: Connect) -> None:
    connector = connect("azure_marketplace")
    await statuses(connector, record("azure_marketplace", quantity=100))
    (outcome,) = await connector.deliver(MeteringDocument((record("azure_marketplace", quantity=130),)), "key")
    assert (outcome.acknowledged, outcome.code) == (Decimal(100), "OTHER_QUANTITY")


class BrokenCredential:
    """Microsoft Entra on a bad day."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def get_token(self, *scopes: str) -> Any:
        raise self.error

    async def close(self) -> None:
        return None


@pytest.mark.parametrize(
    ("error", "expected"), [(ClientAuthenticationError("no"), Terminal), (ServiceRequestError("no"), Transient)]
)
async def test_entra_failures_are_told_apart(error: Exception, expected: type[Exception]) -> None:
    config = AzureMarketplaceConfig(static_token=Secret("x"))
    connector = AzureMarketplaceConnector(config, lambda: NOW, credential=BrokenCredential(error))
    with pytest.raises(expected):
        await statuses(connector, record("azure_marketplace"))
    await connector.close()


@respx.mock
@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"status": "Accepted", "quantity": 1.0}, ACCEPTED),
        ({"status": "Accepted", "quantity": 2}, COLLISION),
        ({"status": "Duplicate"}, UNKNOWN),
        ({"status": "Error"}, UNKNOWN),
        ({"status": "SomethingNew"}, UNKNOWN),
        ({"status": "InvalidDimension"}, REFUSED),
        ({"status": "Accepted", "dimension": "other"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
async def test_azure_results_are_believed_only_when_they_fit(row: dict[str, Any], status: OutcomeStatus) -> None:
    a, b = slots("azure_marketplace", 2)
    # Azure writes the time without a zone and with seven decimals now and then.
    common = {
        "resourceId": a.customer["azureSubscriptionId"].upper(),
        "effectiveStartTime": "2026-11-02T11:00:00.0000000",
    }
    rows = [{**common, "dimension": "d1", "status": "Accepted"}, {**common, "dimension": "d0", **row}]
    address = "https://marketplaceapi.microsoft.com/api/batchUsageEvent"
    respx.post(address).mock(httpx.Response(200, text=json.dumps({"count": 2, "result": rows})))
    connector = AzureMarketplaceConnector(AzureMarketplaceConfig(static_token=Secret("x")), lambda: NOW)
    assert await statuses(connector, a, b) == [status, ACCEPTED]
    await connector.close()


async def test_azure_request_ids_are_kept_and_sums_are_read_back(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("azure_marketplace")
    outcomes = await connector.deliver(MeteringDocument(slots("azure_marketplace", 2)), "key")
    assert all(len(outcome.request_ids) == 1 for outcome in outcomes)
    entries = await connector.list(Period(NOW - timedelta(days=1), NOW))
    assert [entry.amount for entry in entries] == [Decimal(1), Decimal(2)]


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({}, {"tenant_id", "client_id", "client_secret"}),
        ({"credential": "managed"}, set()),
        ({"credential": "magic"}, {"credential"}),
        ({"credential": "workload", "authority": "http://login.example"}, {"authority"}),
        ({"static_token": "env:TOKEN"}, {"static_token"}),
        ({"credential": "default", "unit_price": 0.01}, {"unit_price"}),
    ],
)
def test_azure_settings(table: dict[str, Any], keys: set[str]) -> None:
    found: set[str] = set()
    try:
        AzureMarketplaceConfig.from_table("x", table, {"TOKEN": "t", "METROGRAPH_ENVIRONMENT": "production"})
    except SettingsError as error:
        found = {problem.key for problem in error.problems}
    # A secret is asked for only where nothing else proves who calls.
    assert found == keys | ({"tenant_id", "client_id", "client_secret"} if keys == {"credential"} else set())


@pytest.mark.parametrize("credential", ["secret", "workload", "managed", "default"])
async def test_azure_credentials_can_be_built(credential: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guid = CUSTOMERS["azure_marketplace"]["azureSubscriptionId"]
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent")
    table = {"tenant_id": guid, "client_id": guid, "client_secret": "env:AWS_SECRET", "credential": credential}
    environ = {key: value for key, value in ENVIRON.items() if "STATIC" not in key}
    connector = AzureMarketplaceConnector(AzureMarketplaceConfig.from_table("x", table, environ), lambda: NOW)
    await connector.close()


@respx.mock
@pytest.mark.parametrize(
    ("status", "failure"), [(401, Terminal), (404, Terminal), (409, Transient), (500, Transient), (201, Transient)]
)
async def test_azure_failures_are_told_apart(status: int, failure: type[Exception]) -> None:
    respx.post("https://marketplaceapi.microsoft.com/api/batchUsageEvent").mock(httpx.Response(status, text="?"))
    connector = AzureMarketplaceConnector(AzureMarketplaceConfig(static_token=Secret("x")), lambda: NOW)
    with pytest.raises(failure):
        await statuses(connector, *slots("azure_marketplace", 2))
    await connector.close()
