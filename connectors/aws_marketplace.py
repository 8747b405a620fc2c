"""Frozen hour slots become metered records of AWS Marketplace (BatchMeterUsage).

Owns both identification styles, AWS's statuses and errors, and the regional clients. Leaves what is owed, and which
slot carries it, to `app/delivery`. AWS counts an identical record once, so re-sending a frozen record is also the way
to look it up; another quantity in the slot is refused for ever.
"""

# boto3 and botocore ship no types; what is used of them is declared in `_MeteringClient`.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, NoReturn, Protocol, cast

import boto3
from botocore import config as boto_config
from botocore import credentials as boto_credentials
from botocore import exceptions as boto_errors

from app.core.period import Period
from connectors.base import (
    Capabilities,
    Clock,
    Document,
    MeteringDocument,
    Notification,
    Outcome,
    OutcomeStatus,
    Problem,
    ProviderEntry,
    Receipt,
    Terminal,
    Transient,
    UsageRecord,
    not_supported,
)
from connectors.http import Secret, SettingsError, SettingsTable, log, member, members
from connectors.metering import BatchRefused, deliver_records

_REGION = r"[a-z]{2,4}(-[a-z]+)+-\d+"
# How often the records that AWS did not process are sent again within one delivery.
_RESENDS = 2
# docs.aws.amazon.com/marketplacemetering, API_BatchMeterUsage and API_UsageRecordResult, November 2026.
_STATUSES: dict[str, tuple[OutcomeStatus, str, str]] = {
    "Success": (OutcomeStatus.ACCEPTED, "", ""),
    "CustomerNotSubscribed": (
        OutcomeStatus.REFUSED,
        "AWS knows no active agreement for this customer.",
        "Check the account id, license and region; an ended agreement takes usage for one more hour only.",
    ),
    "DuplicateRecord": (
        OutcomeStatus.COLLISION,
        "The slot holds another quantity, and AWS keeps the first.",
        "Find out what sent usage for this slot; the difference rides on a later one.",
    ),
}
_BAD_RECORD = frozenset(
    f"{name}Exception"
    for name in (
        "TimestampOutOfBounds", "InvalidUsageDimension", "InvalidCustomerIdentifier", "InvalidLicense", "InvalidTag",
        "InvalidUsageAllocations", "InvalidProductCode", "Validation",
    )
)  # fmt: skip
_SLOW_DOWN = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_NOT_ALLOWED = frozenset(
    {
        "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId",
        "InvalidSignatureException", "SignatureDoesNotMatch", "ExpiredTokenException", "ExpiredToken",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "DisabledApiException",
    }
)  # fmt: skip


class _MeteringClient(Protocol):
    """The two methods of boto3's client that are used; boto3 makes its classes at run time."""

    def batch_meter_usage(self, **parameters: Any) -> Mapping[str, Any]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsMarketplaceConfig:
    """One seller account. Without a role or keys, credentials come from boto3's own chain."""

    region: str = "us-east-1"
    role_arn: str = ""
    external_id: str = ""
    access_key_id: str = ""
    secret_access_key: Secret | None = None
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"
    sns_topics: tuple[str, ...] = ()
    endpoint_url: str = ""
    timeout_seconds: int = 30
    network_retries: int = 2

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> AwsMarketplaceConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem."""
        read = SettingsTable(name, table, environ)
        config = cls(
            region=read.text("region", "us-east-1", pattern=_REGION, like="a region such as us-east-1"),
            role_arn=read.text("role_arn", "", pattern=r"arn:aws[\w-]*:iam::\d{12}:role/.+", like="a role's ARN"),
            external_id=read.text("external_id", ""),
            access_key_id=read.text("access_key_id", ""),
            secret_access_key=read.secret("secret_access_key", required=read.has("access_key_id")),
            unit_price=read.decimal("unit_price", "0.01"),
            dimension=read.text("dimension", "usage_fee", pattern=r"\S{1,255}", like="1 to 255 characters"),
            sns_topics=read.texts("sns_topics"),
            endpoint_url=read.address("endpoint_url", ""),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
            network_retries=read.whole("network_retries", 2, least=0, most=5),
        )
        read.finish()
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCustomer:
    """The buyer, in the style of new products (account and license) or of products from before June 2026."""

    account_id: str = ""
    license_arn: str = ""
    product_code: str = ""
    customer_identifier: str = ""
    region: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> AwsCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(
            account_id=read.text("awsCustomerAccountId", "", pattern=r"\d{12}", like="12 digits"),
            license_arn=read.text("licenseArn", "", pattern=r"arn:aws[\w-]*:license-manager:.+", like="a license ARN"),
            product_code=read.text("productCode", "", pattern=r"[-\w=]{1,255}", like="a product code"),
            customer_identifier=read.text("customerIdentifier", "", pattern=r"\S{1,255}", like="AWS's identifier"),
            region=read.text("region", "", pattern=_REGION, like="a region such as us-east-1"),
        )
        if customer.license_arn and customer.product_code:
            # Both styles for one customer are two slots to AWS, so the same hour would be billed twice.
            read.fault("productCode", "give licenseArn (new products) or productCode (older ones), never both")
        elif customer.license_arn and not customer.account_id:
            read.fault("awsCustomerAccountId", "is required with licenseArn")
        elif not customer.license_arn and not customer.product_code:
            read.fault("licenseArn", "give awsCustomerAccountId and licenseArn, or productCode and customerIdentifier")
        elif customer.product_code and not (customer.customer_identifier or customer.account_id):
            read.fault("customerIdentifier", "is required with productCode")
        read.finish()
        return customer


class AwsMarketplaceConnector:
    """Metering over boto3, which is synchronous and therefore runs in a thread."""

    name: ClassVar[str] = "aws_marketplace"
    # docs.aws.amazon.com/marketplacemetering/latest/APIReference/API_BatchMeterUsage.html, November 2026: 25 records,
    # less than 24 hours after the event, a month's usage before 06:00 UTC on the 1st, quantity up to 2^31 - 1, USD.
    capabilities: ClassVar[Capabilities] = Capabilities(
        mode="metering",
        batch_size=25,
        window=timedelta(hours=24),
        month_cutoff_hour=6,
        currencies=frozenset({"USD"}),
        max_quantity=Decimal(2**31 - 1),
    )
    Config: ClassVar[type[Any]] = AwsMarketplaceConfig
    CustomerConfig: ClassVar[type[Any]] = AwsCustomer

    def __init__(self, config: AwsMarketplaceConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._clients: dict[str, _MeteringClient] = {}
        self._making = asyncio.Lock()

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Every problem of the customer's side: one identification style, complete."""
        try:
            AwsCustomer.from_settings(settings)
        except SettingsError as error:
            return list(error.problems)
        return []

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Meter the records; AWS identifies them by customer, dimension and hour, so the key is not used."""
        assert isinstance(document, MeteringDocument), "AWS Marketplace takes usage records"
        customers = {record.reference: self._customer(record) for record in document.records}

        def group_of(record: UsageRecord) -> tuple[str, str]:
            customer = customers[record.reference]
            return customer.region or self._config.region, customer.product_code

        async def send(batch: Sequence[UsageRecord]) -> list[Outcome]:
            region, product_code = group_of(batch[0])
            wires = {one.reference: _wire(one, customers[one.reference]) for one in batch}
            return await self._send(batch, wires, region=region, product_code=product_code)

        return await deliver_records(
            document, capabilities=self.capabilities, now=self._clock(), group_of=group_of, send=send
        )

    async def find(self, document: Document) -> Outcome | None:
        """Always None: AWS has no read of metered records. Re-sending the identical record answers the question."""
        return None

    async def void(self, receipt: Receipt) -> Outcome:
        """Not supported: a metered quantity stands for ever."""
        raise not_supported(self.name, "metered usage cannot be taken back; request a billing adjustment at AWS")

    async def list(self, period: Period) -> Sequence[ProviderEntry]:
        """Not supported by the metering API."""
        raise not_supported(self.name, "the metering API has no read; see CloudTrail or the seller reports")

    async def status(self, provider_reference: str) -> ProviderEntry:
        """Not supported by the metering API."""
        raise not_supported(self.name, "metered records have no state after they were accepted")

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Not supported yet: subscription notices arrive through SNS or EventBridge and change no delivery."""
        raise not_supported(self.name, "subscription notices are not read by this version")

    async def close(self) -> None:
        """Close the regional clients."""
        for client in self._clients.values():
            await asyncio.to_thread(client.close)

    def _customer(self, record: UsageRecord) -> AwsCustomer:
        try:
            return AwsCustomer.from_settings(record.customer)
        except SettingsError as error:
            raise Terminal("CUSTOMER_SETTINGS", str(error), hint="Complete the billing configuration.") from error

    async def _send(
        self, batch: Sequence[UsageRecord], wires: dict[str, dict[str, Any]], *, region: str, product_code: str
    ) -> list[Outcome]:
        """One call for the batch, and a few more for what AWS left unprocessed."""
        client = await self._client(region)
        outcomes: dict[str, Outcome] = {}
        waiting = list(batch)
        for _ in range(1 + _RESENDS):
            parameters: dict[str, Any] = {"UsageRecords": [wires[one.reference] for one in waiting]}
            if product_code:
                parameters["ProductCode"] = product_code
            answer = await self._call(client, parameters)
            results = {_slot(member(item, "UsageRecord")): item for item in members(answer, "Results")}
            unprocessed = {_slot(item) for item in members(answer, "UnprocessedRecords")}
            request_id = str(member(member(answer, "ResponseMetadata"), "RequestId") or "")
            for one in waiting:
                slot = _slot(wires[one.reference])
                outcomes[one.reference] = _outcome(one, results.get(slot), slot in unprocessed, request_id)
            waiting = [one for one in waiting if outcomes[one.reference].code == "UNPROCESSED"]
            if not waiting:
                break
        return list(outcomes.values())

    async def _call(self, client: _MeteringClient, parameters: dict[str, Any]) -> Mapping[str, Any]:
        try:
            answer = await asyncio.to_thread(lambda: client.batch_meter_usage(**parameters))
        except boto_errors.ClientError as error:
            _raise_for(error)
        except (boto_errors.NoCredentialsError, boto_errors.PartialCredentialsError) as error:
            hint = "Give role_arn or keys, or set boto3's own variables."
            raise Terminal(
                "AUTHENTICATION", "No AWS credentials were found.", hint=hint, stop_connection=True
            ) from error
        except boto_errors.CredentialRetrievalError as error:
            raise Transient(f"AWS credentials cannot be had now ({type(error).__name__})") from error
        except boto_errors.ParamValidationError as error:
            raise BatchRefused("INVALID_RECORD", str(error)) from error
        except (boto_errors.EndpointConnectionError, boto_errors.ConnectTimeoutError) as error:
            raise Transient(f"AWS cannot be reached ({type(error).__name__})") from error
        except boto_errors.BotoCoreError as error:
            # Lost and unreadable answers: the records may have been counted.
            raise Transient(f"AWS did not answer ({type(error).__name__})", unknown=True) from error
        log.info("aws batch_meter_usage -> 200 (%s)", member(member(answer, "ResponseMetadata"), "RequestId"))
        return answer

    async def _client(self, region: str) -> _MeteringClient:
        async with self._making:
            if region not in self._clients:
                self._clients[region] = await asyncio.to_thread(_make_client, self._config, region)
            return self._clients[region]


def _make_client(config: AwsMarketplaceConfig, region: str) -> _MeteringClient:
    session: Any = boto3.Session(
        aws_access_key_id=config.access_key_id or None,
        aws_secret_access_key=config.secret_access_key.reveal() if config.secret_access_key else None,
        region_name=region,
    )
    if config.role_arn:
        inner = session._session
        extra = {"ExternalId": config.external_id} if config.external_id else {}
        fetcher: Any = boto_credentials.AssumeRoleCredentialFetcher(
            client_creator=inner.create_client,
            source_credentials=session.get_credentials(),
            role_arn=config.role_arn,
            extra_args=extra,
        )
        inner._credentials = boto_credentials.DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
    options = boto_config.Config(
        retries={"mode": "standard", "total_max_attempts": 1 + config.network_retries},
        connect_timeout=min(10, config.timeout_seconds),
        read_timeout=config.timeout_seconds,
    )
    client = session.client("meteringmarketplace", config=options, endpoint_url=config.endpoint_url or None)
    return cast("_MeteringClient", client)


def _raise_for(error: boto_errors.ClientError) -> NoReturn:
    """AWS's coded refusals: one bad record, slow down, not allowed, broken on their side, or our mistake."""
    response = cast("dict[str, Any]", error.response)
    code = str(member(response.get("Error"), "Code") or "Unknown")
    message = f"AWS: {member(response.get('Error'), 'Message') or code}"
    metadata = response.get("ResponseMetadata")
    status = int(member(metadata, "HTTPStatusCode") or 0)
    request_id = str(member(metadata, "RequestId") or "")
    log.info("aws batch_meter_usage -> %d %s (%s)", status, code, request_id)
    if code in _BAD_RECORD:
        raise BatchRefused(code, message, request_ids=(request_id,)) from error
    if code in _SLOW_DOWN or status == 429:
        raise Transient(message) from error
    if code in _NOT_ALLOWED or status in (401, 403):
        hint = "Check the connection's credentials and region, and that they belong to the seller's account."
        raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True) from error
    if status >= 500 or code == "InternalServiceErrorException":
        raise Transient(message, unknown=True) from error
    raise Terminal(code, message, hint="Correct what AWS names; a repeat will not help.") from error


def _wire(record: UsageRecord, customer: AwsCustomer) -> dict[str, Any]:
    """One record in AWS's words; quantities are whole, times aware."""
    identity = {
        "CustomerAWSAccountId": "" if customer.customer_identifier else customer.account_id,
        "LicenseArn": customer.license_arn,
        "CustomerIdentifier": customer.customer_identifier,
    }
    return {
        "Timestamp": record.hour.astimezone(UTC),
        "Dimension": record.dimension,
        "Quantity": int(record.quantity),
        **{name: value for name, value in identity.items() if value},
    }


def _slot(wire: object) -> tuple[str, str, str, int]:
    """What AWS identifies a record by, from what was sent or from what came back."""
    instant = member(wire, "Timestamp")
    who = member(wire, "CustomerIdentifier") or member(wire, "CustomerAWSAccountId")
    seconds = int(instant.timestamp()) if isinstance(instant, datetime) else 0
    return str(member(wire, "LicenseArn") or ""), str(who or ""), str(member(wire, "Dimension") or ""), seconds


def _outcome(record: UsageRecord, result: object, is_unprocessed: bool, request_id: str) -> Outcome:
    """One record's outcome; a record that the answer does not mention is UNKNOWN, never a success."""
    word = member(result, "Status")
    known = _STATUSES.get(str(word))
    counted = member(member(result, "UsageRecord"), "Quantity")
    if known is not None:
        status, message, hint = known
        code = None if status is OutcomeStatus.ACCEPTED else str(word)
        if status is OutcomeStatus.ACCEPTED and counted not in (None, int(record.quantity)):
            status, code, message = OutcomeStatus.COLLISION, "OTHER_QUANTITY", f"AWS counts {counted} in this slot."
    elif is_unprocessed:
        status, code, message, hint = OutcomeStatus.UNKNOWN, "UNPROCESSED", "AWS did not process the record.", ""
    else:
        text = "AWS's answer does not mention the record." if word is None else f"AWS answered {word}."
        status, code, message, hint = OutcomeStatus.UNKNOWN, "NOT_ANSWERED", text, ""
    return Outcome(
        reference=record.reference,
        status=status,
        acknowledged=record.quantity if status is OutcomeStatus.ACCEPTED else None,
        provider_reference=member(result, "MeteringRecordId"),
        provider_status=None if word is None else str(word),
        code=code,
        message=message or None,
        hint=hint or None,
        request_ids=(request_id,) if request_id else (),
        effective_at=record.hour,
    )
