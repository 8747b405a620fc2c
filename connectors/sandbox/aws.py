"""AWS Marketplace as it answers over HTTP: JSON, windows, limits and duplicates.

Owns BatchMeterUsage and a minimal ResolveCustomer; entitlements and payment requests have modules of their own. Leaves
signatures unchecked: they prove nothing about billing.
Account 000000000000 has no agreement, and an access key that begins with REVOKED is refused. Source of all rules:
API_BatchMeterUsage and API_UsageRecordResult of the AWS Marketplace Metering reference, November 2026.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox import aws_entitlements, aws_model, aws_payments
from connectors.sandbox.gate import Answer, pass_gate, to_json
from connectors.sandbox.store import Connection, Row, SandboxStore

PROVIDER = "aws_marketplace"
MAX_RECORDS = 25
WINDOW = timedelta(hours=24)
MONTH_CUTOFF = timedelta(hours=6)
SERVICES = {
    "BatchMeterUsage": "meteringmarketplace",
    "ResolveCustomer": "meteringmarketplace",
    "GetEntitlements": "marketplace-entitlement",
    **dict.fromkeys(aws_payments.OPERATIONS, "marketplace-agreement"),
}
LAST_CALL = timedelta(hours=1)
MAX_QUANTITY = 2**31 - 1


def _error(code: str, message: str, status: int = 400) -> Answer:
    headers = {"x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": code}
    return Answer(status, {"__type": code, "message": message}, headers)


FAILURES = {
    "refuse_500": _error("InternalServiceErrorException", "An internal error has occurred.", 500),
    "throttle_429": _error("ThrottlingException", "The calls to the API are throttled."),
    "reject": _error("InvalidProductCodeException", "The product code is not valid."),
    "expired": _error("ExpiredTokenException", "The security token is expired.", 403),
    "error_in_200": _error("InternalServiceErrorException", "An internal error has occurred.", 200),
}


def routes(store: SandboxStore) -> list[Route]:
    """One address for everything; the target header says what is wanted."""

    async def endpoint(request: Request) -> Response:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body: dict[str, Any] = json.loads(await request.body() or b"{}", parse_float=Decimal)
        access_key, region = _credential(request)

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if access_key.startswith("REVOKED"):
                return _error("UnrecognizedClientException", "The security token is invalid.", 403)
            service = SERVICES.get(operation)
            if service is None:
                return _error("UnknownOperationException", operation)
            wrong = aws_model.fault(service, operation, body)
            if wrong is not None:
                return _error("ValidationException", wrong)
            if operation == "ResolveCustomer":
                return _resolve(body)
            if operation == "GetEntitlements":
                return await aws_entitlements.entitled(connection, body)
            if operation in aws_payments.OPERATIONS:
                return await aws_payments.OPERATIONS[operation](connection, body, store.clock())
            return await _meter(connection, body, region, store.clock())

        return await pass_gate(
            request,
            store,
            provider=PROVIDER,
            operation=operation,
            act=act,
            failures=FAILURES,
            media_type="application/x-amz-json-1.1",
        )

    return [Route("/", endpoint, methods=["POST"])]


def _credential(request: Request) -> tuple[str, str]:
    scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", request.headers.get("authorization", ""))
    return (scope[1], scope[2]) if scope else ("", "")


def _resolve(body: dict[str, Any]) -> Answer:
    token = str(body.get("RegistrationToken", ""))
    if token.startswith("expired"):
        return _error("ExpiredTokenException", "Registration token has expired.")
    if not re.fullmatch(r"\d{12}", token):
        return _error("InvalidTokenException", "Registration token is invalid.")
    arn = f"arn:aws:license-manager::{token}:license:l-{token}"
    known = {"CustomerAWSAccountId": token, "LicenseArn": arn, "ProductCode": f"prod-{token}"}
    return Answer(200, {**known, "Metadata": {"AgreementId": f"agmt-{token}"}})


async def _meter(connection: Connection, body: dict[str, Any], region: str, now: datetime) -> Answer:
    records: list[dict[str, Any]] = body.get("UsageRecords", [])
    product = str(body.get("ProductCode") or "")
    if len(records) > MAX_RECORDS:
        return _error("ValidationException", f"UsageRecords must have at most {MAX_RECORDS} items.")
    for record in records:
        fault = _fault(record, product, now)
        if fault is not None:
            return fault
    results = [await _count(connection, record, f"{region}/{product}", now) for record in records]
    headers = {"x-amzn-requestid": str(uuid.uuid4())}
    return Answer(200, {"Results": results, "UnprocessedRecords": []}, headers)


def _fault(record: dict[str, Any], product: str, now: datetime) -> Answer | None:
    """Why the whole batch is refused because of this record."""
    hour = _instant(record)
    month_end = (hour.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
    quantity = record.get("Quantity", 0)
    if not isinstance(quantity, int) or not 0 <= quantity <= MAX_QUANTITY:
        return _error("ValidationException", "Quantity must be from 0 to 2147483647.")
    if "QuantityAsDecimal" in record:
        return _error("ValidationException", "Quantity and QuantityAsDecimal exclude each other.")
    if not re.fullmatch(r"\S{1,255}", str(record.get("Dimension", ""))):
        return _error("InvalidUsageDimensionException", "The usage dimension is not valid.")
    if bool(record.get("LicenseArn")) == bool(product):
        return _error("InvalidProductCodeException", "Give ProductCode or LicenseArn, not both.")
    if not (record.get("CustomerAWSAccountId") or record.get("CustomerIdentifier")):
        return _error("InvalidCustomerIdentifierException", "The customer is not identified.")
    if hour > now or now - hour >= WINDOW or now >= month_end + MONTH_CUTOFF:
        return _error("TimestampOutOfBoundsException", "The timestamp is outside the allowed window.")
    return None


def _instant(record: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(record["Timestamp"]), UTC)


async def _count(connection: Connection, record: dict[str, Any], scope: str, now: datetime) -> Row:
    """The first record of a slot is counted; an equal one is the same, another quantity is a duplicate."""
    customer = str(record.get("CustomerIdentifier") or record.get("CustomerAWSAccountId"))
    result: Row = {"UsageRecord": record, "MeteringRecordId": str(uuid.uuid4()), "Status": "Success"}
    cursor = await connection.execute(
        "select ended_at from sandbox.agreements where customer = any(%s)", [[customer, str(record.get("LicenseArn"))]]
    )
    ends = [row["ended_at"] for row in await cursor.fetchall() if row["ended_at"] is not None]
    if customer == "000000000000" or any(now >= end + LAST_CALL for end in ends):
        return {"UsageRecord": record, "Status": "CustomerNotSubscribed"}
    hour = _instant(record).replace(minute=0, second=0)
    slot = "|".join([scope, str(record.get("LicenseArn", "")), customer, record["Dimension"], hour.isoformat()])
    cursor = await connection.execute(
        "insert into sandbox.slots (provider, slot, customer, dimension, hour, quantity, body)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (provider, slot) do update set sends = slots.sends + 1 returning quantity, body",
        [
            PROVIDER,
            slot,
            customer,
            record["Dimension"],
            hour,
            record.get("Quantity", 0),
            Jsonb(result, dumps=lambda value: to_json(value).decode()),
        ],
    )
    row = await cursor.fetchone()
    assert row is not None, "an upsert returns its row"
    if row["quantity"] != record.get("Quantity", 0):
        return {"UsageRecord": record, "Status": "DuplicateRecord"}
    return {**result, "MeteringRecordId": row["body"]["MeteringRecordId"]}
