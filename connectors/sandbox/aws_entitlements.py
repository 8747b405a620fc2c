"""Entitlements at AWS Marketplace: what a buyer bought, until when, and when its agreement ended.

Owns the answer to GetEntitlements, and the control route that says what there is. Source: API_GetEntitlements of the AWS
Marketplace Entitlement reference, November 2026.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.gate import Answer
from connectors.sandbox.store import Connection, Row, SandboxStore


def routes(store: SandboxStore) -> list[Route]:
    """The control route: `customer` (license ARN or identifier), `endedAt`, `entitlements`."""

    async def change(request: Request) -> Response:
        order: dict[str, Any] = await request.json()
        async with store.transaction() as connection:
            await connection.execute(
                "insert into sandbox.agreements (customer, ended_at, entitlements) values (%s, %s, %s)"
                " on conflict (customer) do update set ended_at = excluded.ended_at,"
                " entitlements = excluded.entitlements",
                [order["customer"], order.get("endedAt"), Jsonb(order.get("entitlements", []))],
            )
        return Response(status_code=204)

    return [Route("/_sandbox/aws/agreements", change, methods=["POST"])]


async def entitled(connection: Connection, body: dict[str, Any]) -> Answer:
    """Two a page, after a first page that is empty and has a next one all the same, as AWS's may be."""
    wanted = [value for values in body.get("Filter", {}).values() for value in values]
    cursor = await connection.execute(
        "select entitlements from sandbox.agreements where customer = any(%s) order by customer", [wanted]
    )
    rows = [_wire(one) for row in await cursor.fetchall() for one in row["entitlements"]]
    token = body.get("NextToken")
    start = -2 if token is None else int(token)
    page = [] if token is None else rows[start : start + 2]
    answer: Row = {"Entitlements": [{"ProductCode": body["ProductCode"], **one} for one in page]}
    if start + 2 < len(rows) or token is None:
        answer["NextToken"] = str(start + 2)
    return Answer(200, answer, {"x-amzn-requestid": str(uuid.uuid4())})


def _wire(row: Row) -> Row:
    """Instants are seconds on the wire."""
    return {**row, "ExpirationDate": int(datetime.fromisoformat(row["ExpirationDate"]).timestamp())}
