"""GraphQL over HTTP, as the working draft says: media types, status codes, and errors that are always GraphQL JSON.

Owns `GraphQLEndpoint`, the ASGI app behind `/graphql`. What an operation does is left to `execution.py`; who is calling
is asked of the `Door` that `app/main.py` hands in, so that this module knows no slice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import orjson
import structlog
from graphql import GraphQLError
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET

from app.errors import BillingError
from app.graphql.context import Context
from app.graphql.errors import ApiError, Code
from app.graphql.execution import Authenticate, Gateway, Operation, Result
from app.graphql.limits import decode_json, read_body, refuse
from app.graphql.media import EVENT_STREAM, GRAPHQL_RESPONSE, PLAIN_JSON, as_events, choose, is_json, settle
from app.graphql.websocket import TextAdapter, WebSocketHandler, authorization

log = structlog.get_logger("metrograph.http")
BODY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer kept for an Idempotency-Key."""

    status: int
    media_type: str
    body: bytes


class Door(Protocol):
    """What the endpoint asks of the application: who calls, and what was answered before."""

    def authenticator(self, connection: HTTPConnection, *, authorization: str | None = None) -> Authenticate:
        """How to find the caller; raises UNAUTHENTICATED at once when no key was sent."""
        ...

    async def recall(self, context: Context, key: str, fingerprint: str) -> Stored | None:
        """The stored answer of an idempotency key; ApiError when it belongs to another request or is in use."""
        ...

    async def keep(self, context: Context, key: str, fingerprint: str, answer: Stored) -> None:
        """Store an answer in the operation's transaction."""
        ...


class GraphQLEndpoint(GraphQL[Any, Any]):
    """Serves one gateway over HTTP and WebSocket."""

    websocket_adapter_class = TextAdapter  # type: ignore[assignment]
    graphql_transport_ws_handler_class = WebSocketHandler  # type: ignore[assignment]

    def __init__(self, gateway: Gateway, door: Door, *, with_ide: bool) -> None:
        super().__init__(
            gateway.schema,
            graphql_ide="graphiql" if with_ide else None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            max_subscriptions_per_connection=20,
        )
        self.gateway = gateway
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self.answer(request)
        await response(scope, receive, send)

    async def get_context(self, request: Any, response: Any) -> Any:
        """The context of a WebSocket connection; each operation on it gets one of its own."""
        return {"connection": request}

    async def on_ws_connect(self, context: Any) -> Any:
        """Accept a WebSocket connection only from a caller we know."""
        try:
            authenticate = self.door.authenticator(context["connection"], authorization=authorization(context))
            async with self.gateway.open(authenticate, request_id=""):
                return UNSET
        except (ApiError, BillingError) as error:
            raise ConnectionRejectionError({"message": str(error)}) from error

    def decode_json(self, data: str | bytes) -> object:
        """A WebSocket message under the same rules as a body."""
        limits = self.gateway.documents.limits
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        try:
            if len(text) > limits.body_bytes:
                refuse("The message is too large.")
            return decode_json(text, depth=limits.json_depth)
        except ApiError as error:
            raise json.JSONDecodeError(error.message, "", 0) from error

    async def answer(self, request: Request) -> Response:
        """The response to one HTTP request; every failure is turned into one here."""
        request_id = str(request.scope.get("state", {}).get("request_id", ""))
        accepted = choose(request.headers.get("accept"))
        try:
            if self.graphql_ide and self._wants_page(request):
                return HTMLResponse(self.graphql_ide_html)
            if accepted is None:
                raise ApiError(
                    Code.BAD_REQUEST,
                    f"Answers are {GRAPHQL_RESPONSE}, {PLAIN_JSON} or {EVENT_STREAM}.",
                    status=HTTPStatus.NOT_ACCEPTABLE,
                )
            authenticate = self.door.authenticator(request)
            operation, key = await self._read(request)
            return await self._run(operation, key, authenticate, accepted, request_id)
        except ApiError as error:
            return self._refusal(error, accepted or PLAIN_JSON, request_id)
        except Exception as error:
            log.exception("fault outside a resolver", request_id=request_id)
            fault = GraphQLError("fault", original_error=error)
            return self._respond(
                Result(executed=False, data=None, errors=[fault]), accepted or PLAIN_JSON, request_id, HTTPStatus(500)
            )

    async def _read(self, request: Request) -> tuple[Operation, str | None]:
        limits = self.gateway.documents.limits
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

    async def _run(
        self, operation: Operation, key: str | None, authenticate: Authenticate, media_type: str, request_id: str
    ) -> Response:
        replayed: list[Stored] = []
        fingerprint = _fingerprint(operation)

        async def once(context: Context, execute: Callable[[], Awaitable[Result]]) -> Result:
            """Answer from the store when the key came before; otherwise execute and keep a complete answer."""
            prepared = self.gateway.check(operation, context.actor)
            if key is None or prepared.errors or prepared.operation(operation.name).operation.value != "mutation":
                return await execute()
            found = await self.door.recall(context, key, fingerprint)
            if found is not None:
                replayed.append(found)
                return Result(executed=True, data=None)
            result = await execute()
            if result.executed and not result.errors:
                body = _encode(result.body(request_id=request_id))
                for secret in context.secrets:
                    body = body.replace(_encode(secret), b"null")
                await self.door.keep(context, key, fingerprint, Stored(200, PLAIN_JSON, body))
            return result

        result = await self.gateway.run(operation, authenticate, request_id=request_id, around=once)
        if replayed:
            stored = replayed[-1]
            response = Response(stored.body, stored.status, media_type=_utf8(settle(media_type, executed=True)))
            response.headers["Idempotency-Replayed"] = "true"
            return response
        return self._respond(result, media_type, request_id)

    def _respond(self, result: Result, accepted: str, request_id: str, status: HTTPStatus | None = None) -> Response:
        body = result.body(request_id=request_id)
        media_type = settle(accepted, executed=result.executed)
        encoded = _encode(body)
        if status is None:
            status = _status(result, body, media_type)
        if media_type == EVENT_STREAM:
            encoded = as_events(encoded)
        response = Response(encoded, int(status), media_type=_utf8(media_type))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "1"
        return response

    def _refusal(self, error: ApiError, media_type: str, request_id: str) -> Response:
        response = self._respond(
            Result(executed=False, data=None, errors=[error]), media_type, request_id, HTTPStatus(error.status)
        )
        if error.status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Bearer realm="metrograph"'
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = "GET, POST"
        return response

    def _wants_page(self, request: Request) -> bool:
        accept = request.headers.get("accept", "")
        return request.method == "GET" and "query" not in request.query_params and "text/html" in accept


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


def _status(result: Result, body: dict[str, Any], media_type: str) -> HTTPStatus:
    codes = {error["extensions"]["code"] for error in body.get("errors", ())}
    if result.data is None and Code.UNAVAILABLE in codes:
        return HTTPStatus.SERVICE_UNAVAILABLE
    # Plain JSON reports errors of a document under 200; a limit is no word about the document, so it never hides there.
    refused = not result.executed and (media_type == GRAPHQL_RESPONSE or Code.LIMIT_EXCEEDED in codes)
    return HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK


def _fingerprint(operation: Operation) -> str:
    """The same request gives the same digest, whatever the order of its variables."""
    meant = json.dumps([operation.query, operation.variables, operation.name], sort_keys=True, default=str)
    return hashlib.sha256(meant.encode()).hexdigest()


def _encode(body: Any) -> bytes:
    return orjson.dumps(body, default=str)


def _utf8(media_type: str) -> str:
    return f"{media_type}; charset=utf-8"
