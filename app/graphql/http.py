"""GraphQL over HTTP, as the working draft says, on the library's ASGI app.

Owns `GraphQLEndpoint`, the app behind `/graphql`. What an operation does is left to `execution.py`; who is calling is
asked of the `Door` that `app/main.py` hands in, so that this module knows no slice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app.graphql.answers import Stored, encode, fault, refuse_request, replay, respond
from app.graphql.context import Authenticate, Context
from app.graphql.errors import ApiError, Code
from app.graphql.execution import Gateway, Operation, Result
from app.graphql.media import EVENT_STREAM, GRAPHQL_RESPONSE, PLAIN_JSON, choose, takes_events
from app.graphql.request import fingerprint_of, read_request
from app.graphql.sse import stream
from app.graphql.websocket import TextAdapter, WebSocketHandler


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
        )
        self.gateway = gateway
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def get_context(self, request: Any, response: Any) -> Any:
        """The context of a WebSocket connection; each operation on it gets one of its own."""
        return {"connection": request}

    async def answer(self, request: Request) -> Response:
        """The response to one HTTP request; every failure is turned into one here."""
        request_id = str(request.scope.get("state", {}).get("request_id", ""))
        accepted = choose(request.headers.get("accept"))
        try:
            if self.graphql_ide and _wants_page(request):
                return HTMLResponse(self.graphql_ide_html)
            if accepted is None:
                shown = f"Answers are {GRAPHQL_RESPONSE}, {PLAIN_JSON} or {EVENT_STREAM}."
                raise ApiError(Code.BAD_REQUEST, shown, status=406)
            authenticate = self.door.authenticator(request)
            operation, key = await read_request(request, self.gateway.documents.limits)
            if takes_events(request.headers.get("accept")) and self.gateway.is_subscription(operation):
                return await stream(self.gateway, operation, authenticate, request_id=request_id)
            return await self._run(operation, key, authenticate, accepted, request_id)
        except ApiError as error:
            return refuse_request(error, accepted or PLAIN_JSON, request_id)
        except Exception as error:
            return fault(error, accepted or PLAIN_JSON, request_id)

    async def _run(
        self, operation: Operation, key: str | None, authenticate: Authenticate, accepted: str, request_id: str
    ) -> Response:
        replayed: list[Stored] = []
        fingerprint = fingerprint_of(operation)

        async def once(context: Context, execute: Callable[[], Awaitable[Result]]) -> Result:
            """Answer from the store when the key came before; otherwise execute and keep a complete answer."""
            if key is None or not self.gateway.is_mutation(operation, context):
                return await execute()
            found = await self.door.recall(context, key, fingerprint)
            if found is not None:
                replayed.append(found)
                return Result(executed=True, data=None)
            result = await execute()
            if result.executed and not result.errors:
                body = encode(result.body(request_id=request_id))
                for secret in context.secrets:
                    body = body.replace(encode(secret), b"null")
                await self.door.keep(context, key, fingerprint, Stored(200, PLAIN_JSON, body))
            return result

        result = await self.gateway.run(operation, authenticate, request_id=request_id, around=once)
        return replay(replayed[-1], accepted) if replayed else respond(result, accepted, request_id)


def _wants_page(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return request.method == "GET" and "query" not in request.query_params and "text/html" in accept
