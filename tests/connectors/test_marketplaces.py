"""AWS's and Azure's traps: windows, slots, duplicates, batches, statuses that nobody announced."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import httpx
import pytest
import respx
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from botocore.stub import Stubber

from app.core.period import Period
from connectors.aws_marketplace import AwsMarketplaceConfig, AwsMarketplaceConnector
from connectors.azure_marketplace import AzureMarketplaceConfig, AzureMarketplaceConnector
from connectors.base import Connector, MeteringDocument, OutcomeStatus, Terminal, Transient, UsageRecord
from connectors.http import Secret, SettingsError
from tests.connectors.world import CUSTOMERS, ENVIRON, NOW, MovingClock, Sandbox, make, record

Connect = Callable[..., Connector]
BOTH = ["aws_marketplace", "azure_marketplace"]
ACCEPTED, DUPLICATE, COLLISION = OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE, OutcomeStatus.COLLISION
REFUSED, UNKNOWN = OutcomeStatus.REFUSED, OutcomeStatus.UNKNOWN


def slots(provider: str, number: int, **more: Any) -> tuple[UsageRecord, ...]:
    """So many dimensions of the last hour."""
    return tuple(record(provider, f"s{i}", quantity=i + 1, dimension=f"d{i}", **more) for i in range(number))


async def statuses(connector: Connector, *records: UsageRecord) -> list[OutcomeStatus]:
    return [outcome.status for outcome in await connector.deliver(MeteringDocument(records), "key")]


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(("number", "calls"), [(1, 1), (25, 1), (26, 2), (50, 2)])
async def test_no_call_carries_more_than_25(
    provider: str, number: int, calls: int, connect: Connect, sandbox: Sandbox
) -> None:
    assert await statuses(connect(provider), *slots(provider, number)) == [ACCEPTED] * number
    assert len(sandbox.calls()) == calls
    assert len(sandbox.effects(provider)) == number


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("hours_ago", "status", "code"),
    [(-1, REFUSED, "IN_FUTURE"), (0, ACCEPTED, None), (23, ACCEPTED, None), (24, REFUSED, "OUT_OF_WINDOW")],
)
async def test_usage_outside_the_window_is_never_sent(
    provider: str, hours_ago: int, status: OutcomeStatus, code: str | None, connect: Connect, sandbox: Sandbox
) -> None:
    (outcome,) = await connect(provider).deliver(MeteringDocument((record(provider, hours_ago=hours_ago),)), "key")
    assert (outcome.status, outcome.code) == (status, code)
    assert len(sandbox.calls()) == (1 if status is ACCEPTED else 0)


@pytest.mark.parametrize("provider", BOTH)
async def test_one_expired_record_does_not_hold_up_the_others(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    late = record(provider, "late", hours_ago=30)
    found = await statuses(connect(provider), *slots(provider, 12), late, *slots(provider, 24)[12:])
    assert found == [ACCEPTED] * 12 + [REFUSED] + [ACCEPTED] * 12
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize(
    ("sent_at", "hour", "code"),
    [
        ("2026-11-01T05:59:59", "2026-10-31T23:00", None),
        ("2026-11-01T06:00:00", "2026-10-31T23:00", "MONTH_CLOSED"),
        ("2026-11-01T06:00:00", "2026-11-01T00:00", None),
        ("2027-01-01T06:00:00", "2026-12-31T22:00", "MONTH_CLOSED"),
        ("2028-03-01T05:00:00", "2028-02-29T23:00", None),
    ],
)
async def test_aws_closes_a_month_at_six_on_the_first(
    sent_at: str, hour: str, code: str | None, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.clock.now = datetime.fromisoformat(sent_at).replace(tzinfo=UTC)
    instant = datetime.fromisoformat(hour).replace(tzinfo=UTC)
    sent = UsageRecord(
        reference="s", customer=CUSTOMERS["aws_marketplace"], dimension="usage_fee", hour=instant, quantity=Decimal(1)
    )
    (outcome,) = await connect("aws_marketplace").deliver(MeteringDocument((sent,)), "key")
    assert outcome.code == code


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("quantity", ["0", "-1", "0.5", "1E+20"])
async def test_quantities_are_whole_positive_and_bounded(
    provider: str, quantity: str, connect: Connect, sandbox: Sandbox
) -> None:
    sent = UsageRecord(
        reference="s",
        customer=CUSTOMERS[provider],
        dimension="usage_fee",
        hour=NOW.replace(minute=0),
        quantity=Decimal(quantity),
    )
    (outcome,) = await connect(provider).deliver(MeteringDocument((sent,)), "key")
    assert (outcome.status, outcome.code) == (REFUSED, "INVALID_QUANTITY")
    assert sandbox.calls() == []


@pytest.mark.parametrize(("quantity", "status"), [(2**31 - 1, ACCEPTED), (2**31, REFUSED)])
async def test_the_largest_quantity_of_aws(quantity: int, status: OutcomeStatus, connect: Connect) -> None:
    assert await statuses(connect("aws_marketplace"), record("aws_marketplace", quantity=quantity)) == [status]


@pytest.mark.parametrize(("provider", "same"), [("aws_marketplace", ACCEPTED), ("azure_marketplace", DUPLICATE)])
async def test_a_slot_holds_one_quantity_for_ever(
    provider: str, same: OutcomeStatus, connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect(provider)
    first, other = record(provider, quantity=100), record(provider, quantity=130)
    assert await statuses(connector, first) == [ACCEPTED]
    assert await statuses(connector, first) == [same]
    assert await statuses(connector, other) == [COLLISION]
    assert await statuses(connector, other, *slots(provider, 2)) == [COLLISION, ACCEPTED, ACCEPTED]
    assert [slot["quantity"] for slot in sandbox.effects(provider) if slot["dimension"] == "usage_fee"] == ["100"]


async def test_azure_tells_what_the_slot_holds(connect: Connect) -> None:
    connector = connect("azure_marketplace")
    await statuses(connector, record("azure_marketplace", quantity=100))
    (outcome,) = await connector.deliver(MeteringDocument((record("azure_marketplace", quantity=130),)), "key")
    assert (outcome.acknowledged, outcome.code) == (Decimal(100), "OTHER_QUANTITY")


@pytest.mark.parametrize("provider", BOTH)
async def test_a_clock_that_lags_behind_the_provider_costs_only_the_late_records(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    connector = make(provider, Sandbox(sandbox.base, MovingClock(NOW - timedelta(hours=2)), sandbox.http))
    late = record(provider, "late", hours_ago=25)
    assert await statuses(connector, *slots(provider, 24, hours_ago=3), late) == [ACCEPTED] * 24 + [REFUSED]
    await connector.close()
    assert len(sandbox.effects(provider)) == 24


async def test_a_failure_in_the_second_batch_keeps_the_answers_of_the_first(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("aws_marketplace", "throttle_429", after=1)
    found = await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 60))
    assert found == [ACCEPTED] * 25 + [UNKNOWN] * 35
    assert await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 60)) == [ACCEPTED] * 60


async def test_a_failure_while_narrowing_keeps_what_was_answered(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("aws_marketplace", "reject")
    sandbox.fault("aws_marketplace", "drop_before", after=1)
    found = await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 4))
    assert found.count(ACCEPTED) == 2
    assert found.count(UNKNOWN) == 2


async def test_customers_without_an_agreement_are_refused(connect: Connect, sandbox: Sandbox) -> None:
    nobody = {**CUSTOMERS["aws_marketplace"], "awsCustomerAccountId": "000000000000"}
    found = await statuses(
        connect("aws_marketplace"), record("aws_marketplace"), record("aws_marketplace", "s2", customer=nobody)
    )
    assert found == [ACCEPTED, REFUSED]
    lost = {"azureSubscriptionId": "00000000-0000-0000-0000-000000000000", "planId": "standard"}
    records = [record("azure_marketplace", "s2", customer=lost), *slots("azure_marketplace", 2)]
    outcomes = await connect("azure_marketplace").deliver(MeteringDocument(tuple(records)), "key")
    assert [outcome.code for outcome in outcomes] == ["ResourceNotFound", None, None]


async def test_aws_styles_and_products_travel_apart(connect: Connect, sandbox: Sandbox) -> None:
    older = {"productCode": "prod-1", "customerIdentifier": "ifAnIdentifier"}
    other = {"productCode": "prod-2", "awsCustomerAccountId": "123456789012"}
    found = await statuses(
        connect("aws_marketplace"),
        record("aws_marketplace"),
        record("aws_marketplace", "s2", customer=older),
        record("aws_marketplace", "s3", customer=other),
    )
    assert found == [ACCEPTED] * 3
    assert len(sandbox.calls()) == 3


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"awsCustomerAccountId": "123456789012"}, ["licenseArn"]),
        ({"licenseArn": CUSTOMERS["aws_marketplace"]["licenseArn"]}, ["awsCustomerAccountId"]),
        ({"productCode": "p"}, ["customerIdentifier"]),
        ({**CUSTOMERS["aws_marketplace"], "productCode": "p"}, ["productCode"]),
        ({**CUSTOMERS["aws_marketplace"], "region": "mars"}, ["region"]),
    ],
)
def test_aws_takes_one_identification_style(settings: dict[str, str], keys: list[str]) -> None:
    assert [problem.key for problem in AwsMarketplaceConnector.validate_customer(settings)] == keys


async def test_settings_of_a_customer_that_are_wrong_are_terminal(connect: Connect) -> None:
    for provider in BOTH:
        with pytest.raises(Terminal, match="CUSTOMER_SETTINGS"):
            await statuses(connect(provider), record(provider, customer={"colour": "red"}))


def stubbed(answers: list[dict[str, Any] | str]) -> AwsMarketplaceConnector:
    """A connector whose AWS gives these answers, or fails with these codes; botocore checks their shapes."""
    client: Any = boto3.client(
        "meteringmarketplace", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    stub = Stubber(client)
    for answer in answers:
        if isinstance(answer, str):
            stub.add_client_error("batch_meter_usage", answer, http_status_code=400)
        else:
            stub.add_response("batch_meter_usage", answer)
    stub.activate()
    connector = AwsMarketplaceConnector(AwsMarketplaceConfig(), lambda: NOW)
    connector._clients["us-east-1"] = client
    return connector


def told(one: UsageRecord, status: str | None, *, quantity: int | None = None) -> dict[str, Any]:
    """A record as AWS repeats it, with a status when it is a result."""
    echo = {
        "Timestamp": one.hour,
        "Dimension": one.dimension,
        "Quantity": int(one.quantity) if quantity is None else quantity,
        "CustomerAWSAccountId": one.customer["awsCustomerAccountId"],
        "LicenseArn": one.customer["licenseArn"],
    }
    return echo if status is None else {"UsageRecord": echo, "Status": status, "MeteringRecordId": "m"}


async def test_what_aws_does_not_mention_is_unknown() -> None:
    a, b, c, d = slots("aws_marketplace", 4)
    answer = {
        "Results": [told(c, "SomethingNew"), told(a, "Success"), told(d, "Success", quantity=7)],
        "UnprocessedRecords": [],
    }
    assert await statuses(stubbed([answer]), a, b, c, d) == [ACCEPTED, UNKNOWN, UNKNOWN, COLLISION]


async def test_what_aws_left_unprocessed_is_sent_again() -> None:
    a, b = slots("aws_marketplace", 2)
    first = {"Results": [told(a, "Success")], "UnprocessedRecords": [told(b, None)]}
    second = {"Results": [told(b, "Success")], "UnprocessedRecords": []}
    assert await statuses(stubbed([first, second]), a, b) == [ACCEPTED, ACCEPTED]
    never = {"Results": [], "UnprocessedRecords": [told(b, None)]}
    (outcome,) = await stubbed([never] * 3).deliver(MeteringDocument((b,)), "key")
    assert (outcome.status, outcome.code) == (UNKNOWN, "UNPROCESSED")


@pytest.mark.parametrize(
    ("code", "is_transient", "is_unknown"),
    [
        ("InternalServiceErrorException", True, True),
        ("ThrottlingException", True, False),
        ("DisabledApiException", False, False),
        ("SomethingNewException", False, False),
    ],
)
async def test_aws_failures_are_told_apart(code: str, is_transient: bool, is_unknown: bool) -> None:
    with pytest.raises((Transient, Terminal)) as failure:
        await statuses(stubbed([code]), record("aws_marketplace"))
    assert isinstance(failure.value, Transient) == is_transient
    assert getattr(failure.value, "unknown", False) == is_unknown


async def test_aws_without_credentials_stops_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    connector = AwsMarketplaceConnector(AwsMarketplaceConfig(endpoint_url="http://127.0.0.1:9"), lambda: NOW)
    with pytest.raises(Terminal) as failure:
        await statuses(connector, record("aws_marketplace"))
    assert failure.value.stop_connection
    await connector.close()


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
