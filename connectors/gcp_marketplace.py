"""Frozen hour slots become operations of Google Cloud Marketplace (Service Control).

Owns check before report, Google's errors, and the id of an operation. Leaves what is owed, and which slot carries it, to
`app/delivery`. An operation's id is derived from the slot's, and Google counts an id once: after a lost answer the same
operation is reported again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from app.core.period import Period
from connectors import base
from connectors.base import Outcome, OutcomeStatus, Terminal, Transient, UsageRecord
from connectors.google import GoogleTokens, StaticTokens, Tokens, fault_of
from connectors.http import (
    Secret,
    SettingsTable,
    create_client,
    customer_of,
    member,
    members,
    problems_of,
    send,
    wait_from,
)
from connectors.metering import BatchRefused, deliver_records

_API_BASE = "https://servicecontrol.googleapis.com"
_NAMESPACE = uuid.UUID("8a5ad5f6-34b7-5c3a-9d52-6f1f2bb0d1c4")
"""Of the ids of operations; never to be changed, or what was reported would be counted again."""
_OPERATION = "metrograph hourly usage"
# cloud.google.com/service-infrastructure/docs/service-control/reference/rest/v1/CheckError, November 2026: codes that
# say that Google could not find out, and not that it refuses.
_UNAVAILABLE = frozenset(
    {
        "NAMESPACE_LOOKUP_UNAVAILABLE", "SERVICE_STATUS_UNAVAILABLE", "BILLING_STATUS_UNAVAILABLE",
        "CLOUD_RESOURCE_MANAGER_BACKEND_UNAVAILABLE",
    }
)  # fmt: skip
# google.rpc.Code of a report's partial failures that a repeat does not change: INVALID_ARGUMENT, NOT_FOUND,
# PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE.
_FINAL_CODES = {
    3: "INVALID_ARGUMENT",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    9: "FAILED_PRECONDITION",
    11: "OUT_OF_RANGE",
}
_ALREADY_EXISTS = 6
_NO_ENTITLEMENT = "Check gcpUsageReportingId, and that the buyer's entitlement is active."


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpMarketplaceConfig:
    """One producer account. Without a file, credentials are those of the machine (application default)."""

    credentials_file: str = ""
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"
    api_base: str = _API_BASE
    static_token: Secret | None = None
    timeout_seconds: int = 30

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> GcpMarketplaceConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem. A static token needs the sandbox."""
        read = SettingsTable(name, table, environ)
        is_static = read.has("static_token")
        config = cls(
            credentials_file=read.text("credentials_file", ""),
            unit_price=read.decimal("unit_price", "0.01"),
            dimension=read.text("dimension", "usage_fee", pattern=r"[-\w./]{1,255}", like="a metric's id"),
            api_base=read.address("api_base", _API_BASE),
            static_token=read.secret("static_token", required=False),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
        )
        if is_static and environ.get("METROGRAPH_ENVIRONMENT") != "sandbox":
            read.fault("static_token", "is for METROGRAPH_ENVIRONMENT=sandbox only")
        fault = None if is_static else fault_of(config.credentials_file)
        if fault is not None:
            read.fault("credentials_file", fault)
        read.finish()
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpCustomer:
    """The buyer's entitlement: the product's service, and the id under which usage of it is reported."""

    service_name: str
    usage_reporting_id: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> GcpCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(
            service_name=read.text(
                "gcpServiceName", pattern=r"[a-z0-9][-.a-z0-9]{1,200}", like="the product's service name"
            ),
            usage_reporting_id=read.text(
                "gcpUsageReportingId", pattern=r"[-\w:.]{1,200}", like="the entitlement's usageReportingId"
            ),
        )
        read.finish()
        return customer


class GcpMarketplaceConnector:
    """Reporting over httpx; tokens by google-auth."""

    name: ClassVar[str] = "gcp_marketplace"
    # cloud.google.com/service-infrastructure/docs/service-control/reference/rest/v1/services/report, November 2026: 1 MB
    # a report, whose operations are of one service. cloud.google.com/marketplace/docs/partners/integrated-saas/
    # configure-usage-reports: at least hourly. How late is too late is not said; a day is what the other clouds take.
    capabilities: ClassVar[base.Capabilities] = base.Capabilities(
        mode="metering",
        batch_size=100,
        window=timedelta(hours=24),
        currencies=frozenset({"USD"}),
        max_quantity=Decimal(2**63 - 1),
    )
    Config: ClassVar[type[Any]] = GcpMarketplaceConfig
    CustomerConfig: ClassVar[type[Any]] = GcpCustomer

    def __init__(self, config: GcpMarketplaceConfig, clock: base.Clock) -> None:
        self._clock = clock
        self._tokens: Tokens = GoogleTokens(config.credentials_file)
        if config.static_token is not None:
            self._tokens = StaticTokens(config.static_token)
        self._client = create_client(config.api_base, connect_seconds=10, read_seconds=config.timeout_seconds)

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[base.Problem]:
        """Every problem of the customer's side: gcpServiceName and gcpUsageReportingId."""
        return problems_of(GcpCustomer.from_settings, settings)

    async def deliver(self, document: base.Document, key: str) -> list[Outcome]:
        """Check each record's entitlement, and report the records of each service together."""
        assert isinstance(document, base.MeteringDocument), "Google Cloud Marketplace takes usage records"
        customers: dict[str, GcpCustomer] = {}

        def group_of(record: UsageRecord) -> str:
            customers[record.reference] = customer = customer_of(GcpCustomer.from_settings, record.customer)
            return customer.service_name

        async def send_batch(batch: Sequence[UsageRecord]) -> list[Outcome]:
            return await self._send(batch, customers)

        return await deliver_records(
            document,
            capabilities=self.capabilities,
            now=self._clock(),
            group_of=group_of,
            send=send_batch,
        )

    async def find(self, document: base.Document) -> Outcome | None:
        """Always None: operations are not read back. Reporting the identical operation again answers the question."""
        return None

    async def void(self, receipt: base.Receipt) -> Outcome:
        """Not supported: a reported quantity stands for ever."""
        raise base.not_supported(self.name, "reported usage cannot be taken back; refund it in Producer Portal")

    async def list(self, period: Period) -> Sequence[base.ProviderEntry]:
        """Not supported by Service Control."""
        raise base.not_supported(self.name, "Service Control has no read of usage; see the charges report")

    async def status(self, provider_reference: str) -> base.ProviderEntry:
        """Not supported by Service Control."""
        raise base.not_supported(self.name, "operations have no state after they were accepted")

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> base.Notification:
        """Not supported yet: notices of entitlements come by Pub/Sub and change no delivery."""
        raise base.not_supported(self.name, "notices of entitlements are not read by this version")

    async def close(self) -> None:
        """Close the HTTP client."""
        await self._client.aclose()

    async def _send(self, batch: Sequence[UsageRecord], customers: Mapping[str, GcpCustomer]) -> list[Outcome]:
        service = quote(customers[batch[0].reference].service_name)
        outcomes: dict[str, Outcome] = {}
        operations: dict[str, dict[str, Any]] = {}
        for record in batch:
            operation = _operation(record, customers[record.reference])
            refused = await self._check(service, record, operation)
            if refused is not None:
                outcomes[record.reference] = refused
            else:
                operations[record.reference] = operation
        if operations:
            answer, request_id = await self._ask(
                f"/v1/services/{service}:report", {"operations": [*operations.values()]}
            )
            failed = {
                str(member(item, "operationId")): member(item, "status") for item in members(answer, "reportErrors")
            }
            for record in batch:
                if record.reference in operations:
                    operation_id = operations[record.reference]["operationId"]
                    outcomes[record.reference] = _outcome(record, operation_id, failed.get(operation_id), request_id)
        return [outcomes[record.reference] for record in batch]

    async def _check(self, service: str, record: UsageRecord, operation: dict[str, Any]) -> Outcome | None:
        """Why the usage of this buyer is not taken now; None when it is."""
        asked = {
            name: operation[name] for name in ("operationId", "operationName", "consumerId", "startTime", "endTime")
        }
        answer, request_id = await self._ask(f"/v1/services/{service}:check", {"operation": asked}, writes=False)
        errors = members(answer, "checkErrors")
        if not errors:
            return None
        code, detail = str(member(errors[0], "code") or ""), str(member(errors[0], "detail") or "")
        if code in _UNAVAILABLE:
            raise Transient(f"Google cannot check the entitlement now ({code})")
        return Outcome(
            reference=record.reference, status=OutcomeStatus.REFUSED, provider_status=code, code=code,
            message=f"Google: {detail or code}", hint=_NO_ENTITLEMENT, request_ids=(request_id,),
        )  # fmt: skip

    async def _ask(self, path: str, body: dict[str, Any], *, writes: bool = True) -> tuple[Any, str]:
        """(decoded answer, request id) of a 200 of Service Control; everything else is raised."""
        headers = {"Authorization": f"Bearer {await self._tokens.token()}", "Content-Type": "application/json"}
        response, request_id = await send(
            self._client, "POST", path, headers=headers, request_id_header="x-request-id",
            content=json.dumps(body).encode(),
        )  # fmt: skip
        try:
            answer: Any = json.loads(response.content)
        except ValueError:
            answer = None
        if response.status_code != 200:
            raise _failure(response, answer, request_id, writes=writes)
        # Its answers name the configuration that they were made with; a proxy's greeting does not.
        if not isinstance(member(answer, "serviceConfigId"), str):
            raise Transient("Google answered 200 without a service configuration in it", unknown=writes)
        return answer, request_id


def operation_id(reference: str) -> str:
    """The id of the operation of a slot: UUID version 5, which Google recommends where repeats are to be told.

    cloud.google.com/service-infrastructure/docs/service-control/reference/rest/v1/Operation, November 2026.
    """
    return str(uuid.uuid5(_NAMESPACE, reference))


def _operation(record: UsageRecord, customer: GcpCustomer) -> dict[str, Any]:
    hour = record.hour.astimezone(UTC)
    start, end = (instant.strftime("%Y-%m-%dT%H:%M:%SZ") for instant in (hour, hour + timedelta(hours=1)))
    metric = record.dimension if "/" in record.dimension else f"{customer.service_name}/{record.dimension}"
    return {
        "operationId": operation_id(record.reference),
        "operationName": _OPERATION,
        "consumerId": customer.usage_reporting_id,
        "startTime": start,
        "endTime": end,
        "metricValueSets": [{"metricName": metric, "metricValues": [{"int64Value": str(int(record.quantity))}]}],
    }


def _failure(
    response: httpx.Response, answer: object, request_id: str, *, writes: bool
) -> Transient | Terminal | BatchRefused:
    status, error = response.status_code, member(answer, "error")
    word = str(member(error, "status") or f"HTTP_{status}")
    message = f"Google: {member(error, 'message') or word}"
    if status in (401, 403):
        hint = "Check the credentials, and that the account may check and report usage of the service."
        return Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True)
    if status == 429:
        return Transient(message, wait=wait_from(response.headers))
    if status >= 500 or status < 300:
        return Transient(message, wait=wait_from(response.headers), unknown=writes)
    if status == 400:
        return BatchRefused(word, message, request_ids=(request_id,))
    return Terminal(word, message, hint="Check api_base and gcpServiceName.")


def _outcome(record: UsageRecord, operation: str, failed: object, request_id: str) -> Outcome:
    """One operation's outcome: what the report does not name as failed was taken."""
    known: dict[str, Any] = {"reference": record.reference, "request_ids": (request_id,), "effective_at": record.hour}
    code = member(failed, "code")
    if failed is None or code == _ALREADY_EXISTS:
        status = OutcomeStatus.ACCEPTED if failed is None else OutcomeStatus.DUPLICATE
        return Outcome(
            status=status,
            acknowledged=record.quantity,
            provider_reference=operation,
            provider_status="reported",
            **known,
        )
    message = f"Google: {member(failed, 'message') or code}"
    if code in _FINAL_CODES:
        return Outcome(
            status=OutcomeStatus.REFUSED, code=_FINAL_CODES[code], message=message, hint=_NO_ENTITLEMENT, **known
        )
    return Outcome(status=OutcomeStatus.UNKNOWN, code="NOT_ANSWERED", message=message, **known)
