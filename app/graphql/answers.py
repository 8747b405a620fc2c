"""How a result becomes a response: status, media type, headers, bytes.

Owns the status codes of the GraphQL endpoint. Failures are GraphQL JSON like everything else, so that a client
needs one way of reading answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.responses import Response

from app.graphql.errors import ApiError, Code
from app.graphql.execution import Result
from app.graphql.media import EVENT_STREAM, GRAPHQL_RESPONSE, as_events, settle


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer kept for an Idempotency-Key."""

    status: int
    media_type: str
    body: bytes


def respond(result: Result, accepted: str, request_id: str, *, status: int | None = None) -> Response:
    """The response to an operation; `status` overrides what follows from the result."""
    body = result.body(request_id=request_id)
    media_type = settle(accepted, executed=result.executed)
    if status is None:
        status = _status(result, body, media_type)
    encoded = encode(body)
    response = Response(
        as_events(encoded) if media_type == EVENT_STREAM else encoded, status, media_type=_utf8(media_type)
    )
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "1"
    return response


def refuse_request(error: ApiError, accepted: str, request_id: str) -> Response:
    """The response to a request whose operation was not run."""
    refused = Result(executed=False, data=None, errors=[error])
    response = respond(refused, accepted, request_id, status=int(error.status))
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrograph"'
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "GET, POST"
    return response


def fault(error: Exception, accepted: str, request_id: str) -> Response:
    """The response to an exception outside every resolver; its words are logged, not sent."""
    masked = GraphQLError("fault", original_error=error)
    return respond(Result(executed=False, data=None, errors=[masked]), accepted, request_id, status=500)


def replay(stored: Stored, accepted: str) -> Response:
    """The first answer again, marked as such."""
    body = as_events(stored.body) if accepted == EVENT_STREAM else stored.body
    response = Response(body, stored.status, media_type=_utf8(settle(accepted, executed=True)))
    response.headers["Idempotency-Replayed"] = "true"
    return response


def encode(body: Any) -> bytes:
    """JSON bytes; values that only the database made (exact decimals in audit entries) go out as text."""
    return orjson.dumps(body, default=str)


def _status(result: Result, body: dict[str, Any], media_type: str) -> int:
    codes = {error["extensions"]["code"] for error in body.get("errors", ())}
    if result.data is None and Code.UNAVAILABLE in codes:
        return 503
    # Plain JSON reports errors of a document under 200; a limit is no word about the document, so it never hides there.
    refused = not result.executed and (media_type == GRAPHQL_RESPONSE or Code.LIMIT_EXCEEDED in codes)
    return 400 if refused else 200


def _utf8(media_type: str) -> str:
    return f"{media_type}; charset=utf-8"
