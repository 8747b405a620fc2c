"""Google's Service Control as it answers over HTTP: check and report, operations told by their ids.

Owns both methods below `/gcp`. Leaves tokens unread: any bearer passes unless it begins with `revoked`. A consumer whose
id begins with `disabled` has no active entitlement. Sources: services.check, services.report, Operation and CheckError
of the Service Control reference, cloud.google.com, November 2026.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.gate import Answer, pass_gate
from connectors.sandbox.store import Connection, Row, SandboxStore

PROVIDER = "gcp_marketplace"
CONFIG = {"serviceConfigId": "2026-11-01r0"}
MAX_BYTES = 1_000_000
_FIELDS = {"operationId", "operationName", "consumerId", "startTime", "endTime", "metricValueSets", "userLabels"}


def _error(status: int, word: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": word, "message": message}})


FAILURES = {
    "refuse_500": _error(500, "INTERNAL", "An internal error has occurred."),
    "throttle_429": Answer(
        429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota."}}, {"retry-after": "1"}
    ),
    "reject": _error(400, "INVALID_ARGUMENT", "Refused on request."),
    "expired": _error(401, "UNAUTHENTICATED", "The access token expired."),
    "error_in_200": Answer(200, {"error": {"code": 500, "status": "INTERNAL", "message": "An error."}}),
}


def routes(store: SandboxStore) -> list[Route]:
    """The two methods of a service."""

    async def endpoint(request: Request) -> Response:
        _, _, operation = request.path_params["method"].partition(":")
        text = await request.body()
        bearer = request.headers.get("authorization", "")

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if not bearer.startswith("Bearer ") or bearer.startswith("Bearer revoked"):
                return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            if len(text) > MAX_BYTES:
                return _error(400, "INVALID_ARGUMENT", "The request is larger than 1 MB.")
            body: dict[str, Any] = json.loads(text)
            if operation == "check" and set(body) == {"operation"}:
                return _check(body["operation"])
            if operation == "report" and set(body) <= {"operations", "serviceConfigId"}:
                return await _report(connection, body["operations"], store.clock())
            return _error(400, "INVALID_ARGUMENT", f"Unknown name in the request: {sorted(body)}.")

        return await pass_gate(request, store, provider=PROVIDER, operation=operation, act=act, failures=FAILURES)

    return [Route("/gcp/v1/services/{method}", endpoint, methods=["POST"])]


def _check(operation: dict[str, Any]) -> Answer:
    if _fault(operation) is not None:
        return _error(400, "INVALID_ARGUMENT", str(_fault(operation)))
    if str(operation["consumerId"]).startswith("disabled"):
        detail = "The service is not enabled for the consumer."
        return Answer(200, {**CONFIG, "checkErrors": [{"code": "SERVICE_NOT_ACTIVATED", "detail": detail}]})
    return Answer(200, {**CONFIG, "operationId": operation["operationId"]})


def _fault(operation: dict[str, Any]) -> str | None:
    """Why an operation cannot be read."""
    if set(operation) - _FIELDS:
        return f"Unknown name in an operation: {sorted(set(operation) - _FIELDS)}."
    missing = {"operationId", "operationName", "consumerId", "startTime", "endTime"} - set(operation)
    if missing:
        return f"An operation lacks {sorted(missing)}."
    if not re.fullmatch(r"[-0-9a-f]{36}", str(operation["operationId"])):
        return "operationId is no UUID."
    return None


async def _report(connection: Connection, operations: list[dict[str, Any]], now: datetime) -> Answer:
    for operation in operations:
        fault = _fault(operation)
        if fault is not None:
            return _error(400, "INVALID_ARGUMENT", fault)
    errors = [error for operation in operations if (error := await _count(connection, operation, now)) is not None]
    return Answer(200, {**CONFIG, **({"reportErrors": errors} if errors else {})})


async def _count(connection: Connection, operation: dict[str, Any], now: datetime) -> Row | None:
    """The first operation of an id is counted; later ones of the same id change nothing and are answered alike."""
    start, end = (datetime.fromisoformat(operation[name]) for name in ("startTime", "endTime"))
    values = [value for one in operation.get("metricValueSets", ()) for value in one["metricValues"]]
    metric = operation["metricValueSets"][0]["metricName"] if values else ""
    if not values or not all(re.fullmatch(r"\d{1,19}", str(value.get("int64Value", ""))) for value in values):
        return _failed(operation, 3, "A metric value is not an int64.")
    if end <= start or start > now + timedelta(minutes=5):
        return _failed(operation, 3, "startTime and endTime are out of order, or in the future.")
    if str(operation["consumerId"]).startswith("disabled"):
        return _failed(operation, 9, "The consumer's entitlement is not active.")
    await connection.execute(
        "insert into sandbox.slots (provider, slot, customer, dimension, hour, quantity, body)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (provider, slot) do update set sends = slots.sends + 1",
        [
            PROVIDER,
            operation["operationId"],
            operation["consumerId"],
            metric,
            start,
            sum(int(value["int64Value"]) for value in values),
            Jsonb(operation),
        ],
    )
    return None


def _failed(operation: dict[str, Any], code: int, message: str) -> Row:
    return {"operationId": operation["operationId"], "status": {"code": code, "message": message}}
