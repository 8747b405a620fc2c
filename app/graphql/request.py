"""What a GraphQL request may look like: method, media type, body, entries and their types.

Owns the reading of one request into an `Operation`. Everything that a client can get wrong before its document is
looked at is refused here, with a code and a 4xx status.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from http import HTTPStatus
from typing import Any

from starlette.requests import HTTPConnection, Request

from app.graphql.errors import ApiError, Code
from app.graphql.execution import Operation
from app.graphql.limits import Limits, decode_json, read_body, refuse
from app.graphql.media import is_json

BODY_SECONDS = 30.0


async def read_request(request: Request, limits: Limits) -> tuple[Operation, str | None]:
    """The operation and the idempotency key that a request carries; ApiError for anything malformed."""
    if request.method == "GET":
        sent: Any = dict(request.query_params)
        for name in ("variables", "extensions"):
            if sent.get(name):
                sent[name] = decode_json(sent[name].encode("utf-8", "surrogatepass"), depth=limits.json_depth)
        sent = {name: value for name, value in sent.items() if value != ""}
    elif request.method == "POST":
        if not is_json(request.headers):
            raise ApiError(
                Code.BAD_REQUEST,
                "POST takes application/json in UTF-8, without a content encoding.",
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(request.receive, at_most=limits.body_bytes)
        except TimeoutError as error:
            raise ApiError(
                Code.BAD_REQUEST, "The body did not arrive in time.", status=HTTPStatus.REQUEST_TIMEOUT
            ) from error
        sent = decode_json(body, depth=limits.json_depth)
    else:
        raise ApiError(Code.BAD_REQUEST, "GraphQL takes GET and POST.", status=HTTPStatus.METHOD_NOT_ALLOWED)
    return read_operation(sent, read_only=request.method == "GET"), idempotency_key(request)


def read_operation(sent: Any, *, read_only: bool = False) -> Operation:
    """The operation in a decoded request; ApiError for anything but one well-formed object."""
    if isinstance(sent, list):
        raise ApiError(Code.BAD_REQUEST, "Send one operation for each request; batches are not taken.")
    if not isinstance(sent, dict):
        raise ApiError(Code.BAD_REQUEST, "The body must be a JSON object with the entry 'query'.")
    query = sent.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ApiError(Code.BAD_REQUEST, "'query' must be a string that holds a GraphQL document.")
    for name in ("variables", "extensions"):
        if not isinstance(sent.get(name), dict | None):
            raise ApiError(Code.BAD_REQUEST, f"'{name}' must be an object or null.")
    if not isinstance(sent.get("operationName"), str | None):
        raise ApiError(Code.BAD_REQUEST, "'operationName' must be a string or null.")
    return Operation(query, sent.get("variables"), sent.get("operationName") or None, read_only=read_only)


def idempotency_key(connection: HTTPConnection) -> str | None:
    """The Idempotency-Key header; ApiError when it is not 1 to 255 printable ASCII characters."""
    key = connection.headers.get("idempotency-key")
    if key is None:
        return None
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        refuse("Idempotency-Key takes 1 to 255 printable ASCII characters.")
    return key


def fingerprint_of(operation: Operation) -> str:
    """The same request gives the same digest, whatever the order of its variables."""
    meant = json.dumps([operation.query, operation.variables, operation.name], sort_keys=True, default=str)
    return hashlib.sha256(meant.encode()).hexdigest()
