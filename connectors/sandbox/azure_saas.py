"""SaaS subscriptions of Azure Marketplace as they answer over HTTP: resolve, activate, read, operations.

Owns the life of a subscription and its operations. Leaves metering to `azure.py`. Source of all rules: SaaS fulfillment
subscription and operations APIs v2, learn.microsoft.com, November 2026.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox import entra
from connectors.sandbox.azure import FAILURES, PROVIDER, is_refused
from connectors.sandbox.gate import Answer, pass_gate
from connectors.sandbox.store import Connection, Row, SandboxStore

# What an operation leaves behind. The two that are answered take effect with the answer, the rest before the notice.
_STATUS_AFTER = {"Suspend": "Suspended", "Reinstate": "Subscribed", "Unsubscribe": "Unsubscribed"}
_ANSWERED = ("ChangePlan", "ChangeQuantity")
_CONTENT = {"planId", "quantity"}


def routes(store: SandboxStore) -> list[Route]:
    """The provider's routes below `/api/saas`, and two control routes that play the buyer."""

    async def endpoint(request: Request) -> Response:
        path: dict[str, str] = request.path_params
        operation = "operation" if "op" in path else request.url.path.rsplit("/", 1)[-1]
        operation = operation if operation in ("resolve", "activate", "operation") else "subscription"
        body: dict[str, Any] = json.loads(await request.body() or b"{}")

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if is_refused(request):
                return Answer(403, {"code": "Forbidden", "message": "User is not allowed authorized to call this"})
            if request.query_params.get("api-version") != "2018-08-31":
                return Answer(400, {"code": "BadArgument", "message": "api-version"})
            if operation == "resolve":
                return await _resolve(connection, request.headers.get("x-ms-marketplace-token", ""))
            row = await _find(connection, path["id"])
            if row is None:
                return Answer(404, {"code": "EntityNotFound", "message": "The subscription is not found."})
            if operation == "activate":
                return await _activate(connection, row, body)
            if operation == "operation":
                return await _operation(connection, row, path["op"], body if request.method == "PATCH" else None)
            return Answer(200, row)

        return await pass_gate(
            request, store, provider=PROVIDER, operation=f"saas.{operation}", act=act, failures=FAILURES
        )

    async def buy(request: Request) -> JSONResponse:
        order: dict[str, Any] = await request.json()
        row = _subscription(order)
        await store.rows(
            "insert into sandbox.subscriptions (id, body) values (%s, %s) returning id", [row["id"], Jsonb(row)]
        )
        return JSONResponse({"subscription": row, "token": f"tok+{row['id']}=="})

    async def operate(request: Request) -> JSONResponse:
        order: dict[str, Any] = await request.json()
        async with store.transaction() as connection:
            body = await _operate(connection, order, store.clock().isoformat())
        bearer = await entra.token(store, order.get("token", {}))
        return JSONResponse({"body": body, "authorization": f"Bearer {bearer}"})

    return [
        Route("/api/saas/subscriptions/resolve", endpoint, methods=["POST"]),
        Route("/api/saas/subscriptions/{id}", endpoint, methods=["GET"]),
        Route("/api/saas/subscriptions/{id}/activate", endpoint, methods=["POST"]),
        Route("/api/saas/subscriptions/{id}/operations/{op}", endpoint, methods=["GET", "PATCH"]),
        Route("/_sandbox/azure/subscriptions", buy, methods=["POST"]),
        Route("/_sandbox/azure/operations", operate, methods=["POST"]),
    ]


def _subscription(order: dict[str, Any]) -> Row:
    return {
        "id": order.get("id") or str(uuid.uuid4()),
        "name": order.get("name", "Contoso"),
        "publisherId": "metrograph",
        "offerId": order.get("offerId", "gateway"),
        "planId": order.get("planId", "standard"),
        # Microsoft sends numbers, texts, empty texts and nothing at all.
        "quantity": order.get("quantity", ""),
        "beneficiary": {"emailId": "buyer@contoso.example", "tenantId": "cccccccc-0000-4000-8000-000000000003"},
        "purchaser": {"emailId": "purchasing@contoso.example"},
        "saasSubscriptionStatus": order.get("status", "PendingFulfillmentStart"),
    }


async def _resolve(connection: Connection, token: str) -> Answer:
    identifier = token.removeprefix("tok+").removesuffix("==")
    row = await _find(connection, identifier) if token.startswith("tok+") and token.endswith("==") else None
    if row is None:
        return Answer(400, {"code": "BadArgument", "message": "The marketplace token is invalid or expired."})
    outer = {key: row[key] for key in ("id", "offerId", "planId", "quantity")}
    return Answer(200, {**outer, "subscriptionName": row["name"], "subscription": row})


async def _activate(connection: Connection, row: Row, body: dict[str, Any]) -> Answer:
    if set(body) - _CONTENT:
        return Answer(400, {"code": "BadArgument", "message": f"unknown: {sorted(set(body) - _CONTENT)}"})
    if body.get("planId") != row["planId"] or str(body.get("quantity", "")) != str(row["quantity"] or ""):
        return Answer(400, {"code": "BadArgument", "message": "The plan or the quantity is not what was bought."})
    if row["saasSubscriptionStatus"] == "Unsubscribed":
        return Answer(404, {"code": "EntityNotFound", "message": "The subscription is not found."})
    if row["saasSubscriptionStatus"] != "PendingFulfillmentStart":
        return Answer(400, {"code": "BadArgument", "message": "The subscription is activated already."})
    await _keep(connection, {**row, "saasSubscriptionStatus": "Subscribed"})
    return Answer(200, "")


async def _operation(connection: Connection, row: Row, operation: str, change: dict[str, Any] | None) -> Answer:
    cursor = await connection.execute(
        "select body from sandbox.operations where id = %s and subscription = %s for update", [operation, row["id"]]
    )
    found = await cursor.fetchone()
    if found is None:
        return Answer(404, {"code": "EntityNotFound", "message": "The operation is not found."})
    body: Row = found["body"]
    if change is None:
        return Answer(200, body)
    if change.get("status") not in ("Success", "Failure") or set(change) - {"status"}:
        return Answer(400, {"code": "BadArgument", "message": "status takes Success or Failure."})
    if body["status"] != "InProgress":
        return Answer(409, {"code": "Conflict", "message": "A newer update has been fulfilled."})
    is_accepted = change["status"] == "Success"
    body["status"] = "Succeeded" if is_accepted else "Failed"
    await connection.execute("update sandbox.operations set body = %s where id = %s", [Jsonb(body), operation])
    if is_accepted:
        await _keep(connection, {**row, **{key: body[key] for key in _CONTENT if body.get(key)}})
    return Answer(200, "")


async def _operate(connection: Connection, order: dict[str, Any], now: str) -> Row:
    """The buyer does something in the marketplace; gives the notice that is sent for it."""
    row = await _find(connection, order["subscription"])
    assert row is not None, "operations are of subscriptions that were bought"
    action = order["action"]
    body: Row = {
        "id": order.get("id") or str(uuid.uuid4()),
        "activityId": str(uuid.uuid4()),
        "subscriptionId": row["id"],
        "publisherId": row["publisherId"],
        "offerId": row["offerId"],
        "planId": order.get("planId", row["planId"]),
        "quantity": order.get("quantity", row["quantity"]),
        "timeStamp": now,
        "action": action,
        "status": "InProgress" if action in _ANSWERED else "Succeeded",
        "operationRequestSource": "Azure",
    }
    if action in _STATUS_AFTER:
        await _keep(connection, {**row, "saasSubscriptionStatus": _STATUS_AFTER[action]})
    if not order.get("forgotten"):
        await connection.execute(
            "insert into sandbox.operations (id, subscription, body) values (%s, %s, %s)",
            [body["id"], row["id"], Jsonb(body)],
        )
    return body


async def _find(connection: Connection, identifier: str) -> Row | None:
    cursor = await connection.execute(
        "select body from sandbox.subscriptions where id = %s for update", [identifier.lower()]
    )
    found = await cursor.fetchone()
    return None if found is None else found["body"]


async def _keep(connection: Connection, row: Row) -> None:
    await connection.execute("update sandbox.subscriptions set body = %s where id = %s", [Jsonb(row), row["id"]])
