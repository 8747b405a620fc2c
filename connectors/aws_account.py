"""One seller's account at AWS: its settings, the buyer's side, regional clients, and calls to them.

Owns what metering and agreements share. Leaves what a call means to them. boto3 is synchronous and runs in a thread.
"""

# boto3 and botocore ship no types.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn, cast

import boto3
from botocore import config as boto_config
from botocore import credentials as boto_credentials
from botocore import exceptions as boto_errors

from connectors.base import Terminal, Transient
from connectors.http import Secret, SettingsTable, log, member
from connectors.metering import BatchRefused

METERING, ENTITLEMENT = "meteringmarketplace", "marketplace-entitlement"
_REGION = r"[a-z]{2,4}(-[a-z]+)+-\d+"
_SLOW_DOWN = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_NOT_ALLOWED = frozenset(
    {
        "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId",
        "InvalidSignatureException", "SignatureDoesNotMatch", "ExpiredTokenException", "ExpiredToken",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "DisabledApiException",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsMarketplaceConfig:
    """One seller account. Without a role or keys, credentials come from boto3's own chain.

    `entitlements`: the product is a contract, so what was bought is read before it is metered. `webhook_secrets` are
    what an EventBridge destination sends in `X-Api-Key`; `sns_base` is where a stand-in's certificates lie.
    """

    region: str = "us-east-1"
    role_arn: str = ""
    external_id: str = ""
    access_key_id: str = ""
    secret_access_key: Secret | None = None
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"
    entitlements: bool = False
    sns_topics: tuple[str, ...] = ()
    webhook_secrets: tuple[Secret, ...] = ()
    endpoint_url: str = ""
    entitlement_endpoint_url: str = ""
    sns_base: str = ""
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
            entitlements=read.flag("entitlements", False),
            sns_topics=read.texts("sns_topics"),
            webhook_secrets=read.secrets("webhook_secrets"),
            endpoint_url=read.address("endpoint_url", ""),
            entitlement_endpoint_url=read.address("entitlement_endpoint_url", ""),
            sns_base=read.address("sns_base", ""),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
            network_retries=read.whole("network_retries", 2, least=0, most=5),
        )
        if config.sns_base and environ.get("METROGRAPH_ENVIRONMENT") != "sandbox":
            read.fault("sns_base", "is for METROGRAPH_ENVIRONMENT=sandbox only")
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


class AwsAccount:
    """The clients of one connection, a region each, made when they are first needed."""

    def __init__(self, config: AwsMarketplaceConfig) -> None:
        self._config = config
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = asyncio.Lock()

    async def call(
        self,
        service: str,
        region: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        bad_record: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """One call. Errors: Terminal and Transient; `BatchRefused` for the codes of `bad_record`."""
        client = await self._client(service, region)
        try:
            answer = await asyncio.to_thread(lambda: getattr(client, operation)(**parameters))
        except boto_errors.ClientError as error:
            _raise_for(error, operation, bad_record)
        except (boto_errors.NoCredentialsError, boto_errors.PartialCredentialsError) as error:
            hint = "Give role_arn or keys, or set boto3's own variables."
            raise Terminal(
                "AUTHENTICATION", "No AWS credentials were found.", hint=hint, stop_connection=True
            ) from error
        except boto_errors.CredentialRetrievalError as error:
            raise Transient(f"AWS credentials cannot be had now ({type(error).__name__})") from error
        except boto_errors.ParamValidationError as error:
            if not bad_record:
                raise Terminal("INVALID_REQUEST", str(error), hint="Complete the billing configuration.") from error
            raise BatchRefused("INVALID_RECORD", str(error)) from error
        except (boto_errors.EndpointConnectionError, boto_errors.ConnectTimeoutError) as error:
            raise Transient(f"AWS cannot be reached ({type(error).__name__})") from error
        except boto_errors.BotoCoreError as error:
            # Lost and unreadable answers: the records may have been counted.
            raise Transient(f"AWS did not answer ({type(error).__name__})", unknown=True) from error
        log.info("aws %s -> 200 (%s)", operation, member(member(answer, "ResponseMetadata"), "RequestId"))
        return answer

    async def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            await asyncio.to_thread(client.close)

    async def _client(self, service: str, region: str) -> Any:
        async with self._making:
            if (service, region) not in self._clients:
                made = await asyncio.to_thread(_make_client, self._config, service, region)
                self._clients[service, region] = made
            return self._clients[service, region]


def _make_client(config: AwsMarketplaceConfig, service: str, region: str) -> Any:
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
    address = config.endpoint_url if service == METERING else config.entitlement_endpoint_url
    return session.client(service, config=options, endpoint_url=address or None)


def _raise_for(error: boto_errors.ClientError, operation: str, bad_record: frozenset[str]) -> NoReturn:
    """AWS's coded refusals: one bad record, slow down, not allowed, broken on their side, or our mistake."""
    response = cast("dict[str, Any]", error.response)
    code = str(member(response.get("Error"), "Code") or "Unknown")
    message = f"AWS: {member(response.get('Error'), 'Message') or code}"
    metadata = response.get("ResponseMetadata")
    status = int(member(metadata, "HTTPStatusCode") or 0)
    request_id = str(member(metadata, "RequestId") or "")
    log.info("aws %s -> %d %s (%s)", operation, status, code, request_id)
    if code in bad_record:
        raise BatchRefused(code, message, request_ids=(request_id,)) from error
    if code in _SLOW_DOWN or status == 429:
        raise Transient(message) from error
    if code in _NOT_ALLOWED or status in (401, 403):
        hint = "Check the connection's credentials and region, and that they belong to the seller's account."
        raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True) from error
    if status >= 500 or code == "InternalServiceErrorException":
        raise Transient(message, unknown=True) from error
    raise Terminal(code, message, hint="Correct what AWS names; a repeat will not help.") from error
