"""The Azure (Microsoft) Marketplace metering service as it answers over HTTP.

Owns usageEvent, batchUsageEvent and usageEvents. Leaves tokens unread: any bearer passes unless it begins with
`revoked`. The resource of zeros does not exist. Batch results come in reverse order, because their order is not
promised. Source of all rules: marketplace-metering-service-apis, learn.microsoft.com, November 2026.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.gate import Answer, pass_gate, to_json
from connectors.sandbox.store import Connection, Row, SandboxStore

PROVIDER = "azure_marketplace"
MAX_EVENTS = 25
WINDOW = timedelta(hours=24)
NOBODY = "00000000-0000-0000-0000-000000000000"
_EVENT = {"resourceId", "resourceUri", "quantity", "dimension", "effectiveStartTime", "planId"}
_BAD = {"code": "BadArgument", "message": "One or more errors have occurred.", "target": "usageEventRequest"}

FAILURES = {
    "refuse_500": Answer(500, {"code": "InternalError", "message": "An internal error has occurred."}),
    "throttle_429": Answer(429, {"code": "TooManyRequests", "message": "Slow down."}, {"retry-after": "1"}),
    "reject": Answer(400, {**_BAD, "details": [{"code": "BadArgument", "message": "Refused on request."}]}),
    "expired": Answer(401, {"code": "Unauthorized", "message": "The token is expired."}),
    "error_in_200": Answer(200, {"error": {"code": "InternalError", "message": "An internal error has occurred."}}),
}


def routes(store: SandboxStore) -> list[Route]:
    """The three metering routes below `/api`."""

    async def endpoint(request: Request) -> Response:
        operation = request.url.path.rsplit("/", 1)[-1]
        body: dict[str, Any] = json.loads(await request.body() or b"{}", parse_float=Decimal)

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if is_refused(request):
                return Answer(403, {"code": "Forbidden", "message": "User is not allowed authorized to call this"})
            if request.query_params.get("api-version") != "2018-08-31":
                return Answer(400, {**_BAD, "details": [{"code": "BadArgument", "message": "api-version"}]})
            if operation == "usageEvents":
                return await _read(connection, request.query_params.get("usageStartDate"))
            if operation == "usageEvent":
                return _single(await _count(connection, body, store.clock()))
            return await _batch(connection, body, store.clock())

        answer = await pass_gate(request, store, provider=PROVIDER, operation=operation, act=act, failures=FAILURES)
        answer.headers["x-ms-requestid"] = request.headers.get("x-ms-requestid", str(uuid.uuid4()))
        return answer

    return [
        Route("/api/usageEvent", endpoint, methods=["POST"]),
        Route("/api/batchUsageEvent", endpoint, methods=["POST"]),
        Route("/api/usageEvents", endpoint, methods=["GET"]),
    ]


def is_refused(request: Request) -> bool:
    """Whether the bearer token is none, or one that was revoked."""
    bearer = request.headers.get("authorization", "")
    return not bearer.startswith("Bearer ") or bearer.startswith("Bearer revoked")


async def _batch(connection: Connection, body: dict[str, Any], now: datetime) -> Answer:
    events: list[dict[str, Any]] = body.get("request", [])
    if not 1 <= len(events) <= MAX_EVENTS:
        return Answer(400, {**_BAD, "details": [{"code": "BadArgument", "message": f"1 to {MAX_EVENTS} events"}]})
    results = [await _count(connection, event, now) for event in events]
    return Answer(200, {"count": len(results), "result": results[::-1]})


def _single(result: Row) -> Answer:
    """The single call words the same outcome by its status code."""
    if result["status"] == "Accepted":
        return Answer(200, result)
    if result["status"] == "Duplicate":
        text = "This usage event already exist."
        return Answer(409, {"code": "Conflict", "message": text, **result["error"]})
    detail = {"code": "BadArgument", "message": str(result["status"]), "target": "usageEvent"}
    return Answer(400, {**_BAD, "details": [detail]})


async def _count(connection: Connection, event: dict[str, Any], now: datetime) -> Row:
    """The first event of (resource, dimension, calendar hour) is accepted; any other is a duplicate of it."""
    status, hour = _status(event, now)
    if status == "Accepted":
        status = await _by_subscription(connection, event)
    echo: Row = {**event, "messageTime": now.isoformat(), "status": status}
    if status != "Accepted" or hour is None:
        return {**echo, "error": {"code": status, "message": f"The usage event was refused: {status}."}}
    echo["usageEventId"] = str(uuid.uuid4())
    slot = "|".join([str(event["resourceId"]).lower(), event["dimension"], hour.isoformat()])
    cursor = await connection.execute(
        "insert into sandbox.slots (provider, slot, customer, dimension, hour, quantity, body)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (provider, slot) do update set sends = slots.sends + 1 returning body, sends",
        [
            PROVIDER,
            slot,
            event["resourceId"],
            event["dimension"],
            hour,
            event["quantity"],
            Jsonb(echo, dumps=lambda value: to_json(value).decode()),
        ],
    )
    row = await cursor.fetchone()
    assert row is not None, "an upsert returns its row"
    if row["sends"] == 1:
        return echo
    accepted = {**row["body"], "status": "Duplicate"}
    error = {"additionalInfo": {"acceptedMessage": accepted}, "code": "Conflict", "message": "Already exists."}
    return {**event, "status": "Duplicate", "messageTime": "0001-01-01T00:00:00", "error": error}


async def _by_subscription(connection: Connection, event: dict[str, Any]) -> str:
    """A subscription that was bought here is metered while it is Subscribed, or was, and under its current plan."""
    cursor = await connection.execute(
        "select body from sandbox.subscriptions where id = %s", [str(event["resourceId"]).lower()]
    )
    row = await cursor.fetchone()
    if row is not None and row["body"]["saasSubscriptionStatus"] in ("PendingFulfillmentStart", "Suspended"):
        return "ResourceNotActive"
    if row is not None and row["body"]["planId"] != event["planId"]:
        return "BadArgument"
    return "Accepted"


def _status(event: dict[str, Any], now: datetime) -> tuple[str, datetime | None]:
    quantity = event.get("quantity")
    if set(event) - _EVENT:
        return "BadArgument", None
    if not event.get("planId") or not event.get("resourceId") or not event.get("dimension"):
        return "BadArgument", None
    try:
        instant = datetime.fromisoformat(str(event.get("effectiveStartTime"))).astimezone(UTC)
    except ValueError:
        return "BadArgument", None
    if event["resourceId"] == NOBODY:
        return "ResourceNotFound", None
    if isinstance(quantity, bool) or not isinstance(quantity, int | Decimal) or quantity <= 0:
        return "InvalidQuantity", None
    if instant > now:
        return "BadArgument", None
    if now - instant > WINDOW:
        return "Expired", None
    return "Accepted", instant.replace(minute=0, second=0, microsecond=0)


async def _read(connection: Connection, first_day: str | None) -> Answer:
    """Daily sums, as the publisher reads them back."""
    if not first_day:
        return Answer(400, {**_BAD, "details": [{"code": "BadArgument", "message": "usageStartDate"}]})
    cursor = await connection.execute(
        "select (hour at time zone 'UTC')::date as day, customer, dimension, body->>'planId' as plan,"
        " sum(quantity) as quantity from sandbox.slots where provider = %s and hour >= %s::date"
        " group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        [PROVIDER, first_day],
    )
    rows = [
        {
            "usageDate": row["day"].isoformat() + "T00:00:00Z",
            "usageResourceId": row["customer"],
            "dimension": row["dimension"],
            "planId": row["plan"],
            "reconStatus": "Accepted",
            "submittedQuantity": row["quantity"],
            "processedQuantity": row["quantity"],
        }
        for row in await cursor.fetchall()
    ]
    return Answer(200, rows)
