"""`POST /webhooks/{provider}/{connection}`: what providers tell by themselves.

Owns the route: its body limit and its thin answers. Whether a notice is genuine is the connector's to say, over the raw
bytes; it is kept in one short transaction and handled by a job, so that the provider never waits for our work.
"""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.clock import Clock
from app.delivery.inbound import Way, receive
from app.delivery.registry import Connection, Connections
from app.errors import BillingError, ErrorCode
from app.store.engine import Store
from app.web_bodies import bounded_body
from connectors.base import NOT_SUPPORTED, Notification, Terminal, Transient

MAX_BODY = 1024 * 1024
"""Many times the largest notice that is known; a limit of its own, because anybody may post here."""

log = structlog.get_logger("metrograph.webhooks")


def notice_routes(store: Store, clock: Clock, connections: Connections) -> list[BaseRoute]:
    """The route on an open store. It takes no API key: a notice proves itself."""

    async def notices(request: Request) -> Response:
        connection = connections.find(request.path_params["connection"])
        if connection is None or connection.provider != request.path_params["provider"].replace("-", "_"):
            return _refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No such connection.")
        try:
            body = await bounded_body(request, at_most=MAX_BODY)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        if body is None:
            text = f"A notice has at most {MAX_BODY} bytes."
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(ErrorCode.LIMIT_EXCEEDED), text)
        notice = await _verified(connection, request, body)
        if isinstance(notice, Response):
            return notice
        return await _kept(store, connection, notice, body, clock=clock)

    return [Route("/webhooks/{provider}/{connection}", notices, methods=["POST"])]


async def _verified(connection: Connection, request: Request, body: bytes) -> Notification | Response:
    try:
        # In a thread, because some connectors read their provider's keys anew now and then.
        return await asyncio.to_thread(connection.connector.parse_webhook, request.headers, body)
    except Transient as failure:
        log.warning("notice cannot be checked now", connection=connection.name, reason=failure.message)
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(ErrorCode.UNAVAILABLE), "Try again.")
    except Terminal as refused:
        # Whoever posts here learns no more than the kind of refusal; the reason is for our own log.
        log.warning("notice refused", connection=connection.name, code=refused.code, reason=refused.message)
        if refused.code == NOT_SUPPORTED:
            return _refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", "This connection takes no notices.")
        return _refusal(HTTPStatus.BAD_REQUEST, refused.code, "The notice was not accepted.")


async def _kept(store: Store, connection: Connection, notice: Notification, body: bytes, *, clock: Clock) -> Response:
    try:
        async with store.transaction() as session:
            digest = hashlib.sha256(body).hexdigest()
            is_new = await receive(
                session, connection, notice, way=Way.WEBHOOK, now=clock.now(), body_hash=digest
            )  # fmt: skip
    except BillingError as error:
        return _refusal(error.status, str(error.code), "Try again.")
    return JSONResponse({"received": True, "duplicate": not is_new})


def _refusal(status: int, code: str, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse({"errors": [{"code": code, "message": message}]}, int(status), headers=headers)
