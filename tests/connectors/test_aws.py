"""AWS's traps: the end of the month, identification styles, answers that leave records out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from connectors.aws import AwsAccess
from connectors.aws_account import METERING
from connectors.aws_marketplace import AwsMarketplaceConfig, AwsMarketplaceConnector
from connectors.base import Connector, MeteringDocument, OutcomeStatus, Terminal, Transient, UsageRecord
from connectors.http import SettingsError
from tests.connectors.world import CUSTOMERS, NOW, Sandbox, make, record, slots, statuses

Connect = Callable[..., Connector]
ACCEPTED, COLLISION = OutcomeStatus.ACCEPTED, OutcomeStatus.COLLISION
REFUSED, UNKNOWN = OutcomeStatus.REFUSED, OutcomeStatus.UNKNOWN


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


@pytest.mark.parametrize(("quantity", "status"), [(2**31 - 1, ACCEPTED), (2**31, REFUSED)])
async def test_the_largest_quantity_of_aws(quantity: int, status: OutcomeStatus, connect: Connect) -> None:
    assert await statuses(connect("aws_marketplace"), record("aws_marketplace", quantity=quantity)) == [status]


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
        ({**CUSTOMERS["aws_marketplace"], "agreementId": "agmt-1"}, ["variablePaymentTermId"]),
        ({**CUSTOMERS["aws_marketplace"], "variablePaymentTermId": "term-1"}, ["agreementId"]),
        ({**CUSTOMERS["aws_payments"], "agreementId": "a b"}, ["agreementId", "agreementId"]),
        ({**CUSTOMERS["aws_payments"], "variablePaymentTermId": "é"}, ["variablePaymentTermId"] * 2),
    ],
)
def test_aws_takes_one_identification_style(settings: dict[str, str], keys: list[str]) -> None:
    assert [problem.key for problem in AwsMarketplaceConnector.validate_customer(settings)] == keys


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
    connector._account._clients[METERING, "us-east-1"] = client
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
    assert await statuses(stubbed([first, "ThrottlingException"]), a, b) == [ACCEPTED, UNKNOWN], "no answer is lost"
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
    connector = AwsMarketplaceConnector(
        AwsMarketplaceConfig(access=AwsAccess(endpoint_url="http://127.0.0.1:9")), lambda: NOW
    )
    with pytest.raises(Terminal) as failure:
        await statuses(connector, record("aws_marketplace"))
    assert failure.value.stop_connection
    await connector.close()


async def test_an_aws_role_renews_itself(sandbox: Sandbox) -> None:
    settings = {"role_arn": "arn:aws:iam::123456789012:role/metering", "external_id": "x"}
    connector = make("aws_marketplace", sandbox, **settings)
    assert isinstance(connector, AwsMarketplaceConnector)
    client: Any = await connector._account._client(METERING, "eu-west-1")
    assert client.meta.region_name == "eu-west-1"
    assert client._request_signer._credentials.method == "assume-role"
    await connector.close()


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({"unit_price": "0.01", "timeout_seconds": "30", "sns_topics": ["arn:aws:sns:x"]}, []),
        ({"unit_price": "nothing"}, ["unit_price"]),
        ({"payment_requests": True}, []),
        ({"payment_requests": "perhaps"}, ["payment_requests"]),
        ({"unit_price": "-1"}, ["unit_price"]),
        ({"endpoint_url": "ftp://x"}, ["endpoint_url"]),
        ({"endpoint_url": "https://user@x"}, ["endpoint_url"]),
        ({"sns_topics": "one"}, ["sns_topics"]),
        ({"sns_topics": [1]}, ["sns_topics"]),
        ({"access_key_id": "A"}, ["secret_access_key"]),
        ({"role_arn": "admin", "region": 5}, ["region", "role_arn"]),
    ],
)
def test_aws_settings(table: dict[str, Any], keys: list[str]) -> None:
    found: list[str] = []
    try:
        AwsMarketplaceConfig.from_table("x", table, {})
    except SettingsError as error:
        found = [problem.key for problem in error.problems]
    assert found == keys
