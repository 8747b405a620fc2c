"""Payment requests at AWS Marketplace: sent by the seller, answered by the buyer, cancelled while they wait.

Owns the four operations of the Agreement Service, and the control routes that play the buyer and set what a term has left.
Agreements that begin with `agmt-missing` and terms that begin with `term-missing` do not exist. Source: the AWS Marketplace
Agreement Service reference and the SDK's model of it, November 2026.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.gate import Answer
from connectors.sandbox.store import Connection, Row, SandboxStore

MOST = Decimal(1_000_000)
"""What a term may charge in all where nobody said otherwise."""
PAGE = 2
"""AWS gives fewer than were asked for, and a next page all the same; so pages are turned here early."""
PENDING, CHARGING = "PENDING_APPROVAL", ["VALIDATING", "PENDING_APPROVAL", "APPROVED"]
_SUMMARY = (
    "paymentRequestId", "agreementId", "status", "name", "chargeId", "chargeAmount", "currencyCode", "createdAt", "updatedAt",
)  # fmt: skip


def routes(store: SandboxStore) -> list[Route]:
    """The control routes: what the buyer does (`id`, `status`, `message`), and what a term takes (`agreement`, `term`, `most`)."""

    async def answer(request: Request) -> Response:
        order: dict[str, Any] = await request.json()
        async with store.transaction() as connection:
            found = await _find(connection, order["id"])
            if found is None:
                return JSONResponse({"error": "there is no such payment request"}, 404)
            changes: Row = {"status": order["status"], "updatedAt": _seconds(store.clock())}
            if order.get("message"):
                changes["statusMessage"] = order["message"]
            if order["status"] == "APPROVED":
                changes["chargeId"] = f"ch-{uuid.uuid4().hex}"
            return JSONResponse(await _change(connection, order["id"], changes))

    async def limit(request: Request) -> Response:
        order: dict[str, Any] = await request.json()
        async with store.transaction() as connection:
            await connection.execute(
                "insert into sandbox.payment_terms (agreement, term, most) values (%s, %s, %s)"
                " on conflict (agreement, term) do update set most = excluded.most",
                [order["agreement"], order["term"], order["most"]],
            )
        return Response(status_code=204)

    return [
        Route("/_sandbox/aws/payment-requests", answer, methods=["POST"]),
        Route("/_sandbox/aws/payment-terms", limit, methods=["POST"]),
    ]


async def send(connection: Connection, body: dict[str, Any], now: datetime) -> Answer:
    """A token gives its request again, another content under it is a conflict; a term never takes more than its maximum."""
    agreement, term, token = body["agreementId"], body["termId"], body.get("clientToken")
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [agreement])
    content = json.dumps({name: value for name, value in body.items() if name != "clientToken"}, sort_keys=True)
    cursor = await connection.execute("select * from sandbox.payment_tokens where token = %s", [token])
    known = await cursor.fetchone()
    if known is not None:
        if known["content"] != content:
            return refused("ConflictException", "The client token belongs to another request.", status=409)
        return _told(await _find(connection, known["id"]) or {})
    if agreement.startswith("agmt-missing"):
        return refused("ResourceNotFoundException", f"Agreement {agreement} does not exist.", status=404)
    cursor = await connection.execute("select ended_at from sandbox.agreements where customer = %s", [agreement])
    ends = [row["ended_at"] for row in await cursor.fetchall() if row["ended_at"] is not None]
    if any(end <= now for end in ends):
        return refused("ValidationException", "The agreement is not active.", reason="INACTIVE_AGREEMENT")
    if term.startswith("term-missing"):
        return refused(
            "ValidationException", "The agreement has no such VariablePaymentTerm.", reason="INVALID_TERM_ID"
        )
    amount = Decimal(body["chargeAmount"] or 0)
    if not 0 < amount <= await _left(connection, agreement, term):
        text = "The charge amount is not within what the term has left."
        return refused("ValidationException", text, reason="INVALID_CHARGE_AMOUNT")
    made: Row = {
        "paymentRequestId": f"pr-{uuid.uuid4().hex}", "agreementId": agreement, "status": PENDING, "name": body["name"],
        "description": body.get("description", ""), "chargeAmount": body["chargeAmount"], "currencyCode": "USD",
        "createdAt": _seconds(now), "updatedAt": _seconds(now), "termId": term,
    }  # fmt: skip
    await connection.execute(
        "insert into sandbox.payment_requests (id, agreement, term, amount, body) values (%s, %s, %s, %s, %s)",
        [made["paymentRequestId"], agreement, term, amount, Jsonb(made)],
    )
    if token is not None:
        await connection.execute(
            "insert into sandbox.payment_tokens (token, content, id) values (%s, %s, %s)",
            [token, content, made["paymentRequestId"]],
        )
    return _told(made)


async def get(connection: Connection, body: dict[str, Any], now: datetime) -> Answer:
    """One request of the agreement that is named."""
    found = await _find(connection, body["paymentRequestId"])
    if found is None or found["agreementId"] != body["agreementId"]:
        return refused("ResourceNotFoundException", "The payment request does not exist.", status=404)
    return _told(found)


async def listed(connection: Connection, body: dict[str, Any], now: datetime) -> Answer:
    """Summaries of the seller's requests, newest first."""
    if body["partyType"] not in ("Proposer", "Acceptor"):
        return refused("ValidationException", "The party type is not valid.", reason="INVALID_PARTY_TYPE")
    cursor = await connection.execute(
        "select body from sandbox.payment_requests where coalesce(%s::text, agreement) = agreement"
        " and coalesce(%s::text, body ->> 'status') = body ->> 'status' order by seq desc",
        [body.get("agreementId"), body.get("status")],
    )
    rows = [row["body"] for row in await cursor.fetchall()] if body["partyType"] == "Proposer" else []
    start, size = int(body.get("nextToken") or 0), min(PAGE, body.get("maxResults", 50))
    page = [{name: row[name] for name in _SUMMARY if name in row} for row in rows[start : start + size]]
    more = {"nextToken": str(start + size)} if start + size < len(rows) else {}
    return _answer({"items": page, **more})


async def cancel(connection: Connection, body: dict[str, Any], now: datetime) -> Answer:
    """The seller takes back what the buyer has not answered."""
    found = await _find(connection, body["paymentRequestId"])
    if found is None or found["agreementId"] != body["agreementId"]:
        return refused("ResourceNotFoundException", "The payment request does not exist.", status=404)
    if found["status"] != PENDING:
        return refused("ConflictException", f"The payment request is {found['status']}.", status=409)
    changes = {"status": "CANCELLED", "updatedAt": _seconds(now)}
    return _told(await _change(connection, body["paymentRequestId"], changes))


OPERATIONS = {
    "SendAgreementPaymentRequest": send,
    "GetAgreementPaymentRequest": get,
    "ListAgreementPaymentRequests": listed,
    "CancelAgreementPaymentRequest": cancel,
}


def refused(code: str, message: str, *, reason: str = "", status: int = 400) -> Answer:
    """A refusal as AWS words it; a reason stands beside the code where the model has one."""
    body = {"__type": code, "message": message, **({"reason": reason} if reason else {})}
    return Answer(status, body, {"x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": code})


async def _find(connection: Connection, identifier: str) -> Row | None:
    cursor = await connection.execute("select body from sandbox.payment_requests where id = %s", [identifier])
    row = await cursor.fetchone()
    return None if row is None else row["body"]


async def _change(connection: Connection, identifier: str, changes: Row) -> Row:
    cursor = await connection.execute(
        "update sandbox.payment_requests set body = body || %s where id = %s returning body",
        [Jsonb(changes), identifier],
    )
    row = await cursor.fetchone()
    assert row is not None, "it was found a moment ago"
    return row["body"]


async def _left(connection: Connection, agreement: str, term: str) -> Decimal:
    cursor = await connection.execute(
        "select coalesce((select most from sandbox.payment_terms where agreement = %(agreement)s and term = %(term)s), %(most)s)"
        " - coalesce((select sum(amount) from sandbox.payment_requests where agreement = %(agreement)s and term = %(term)s"
        " and body ->> 'status' = any(%(charging)s)), 0) as remaining",
        {"agreement": agreement, "term": term, "most": MOST, "charging": CHARGING},
    )
    row = await cursor.fetchone()
    assert row is not None, "a sum is one row"
    return row["remaining"]


def _told(request: Row) -> Answer:
    return _answer({name: value for name, value in request.items() if name != "termId"})


def _answer(body: Row) -> Answer:
    return Answer(200, body, {"x-amzn-requestid": str(uuid.uuid4())})


def _seconds(instant: datetime) -> float:
    return instant.astimezone(UTC).timestamp()
