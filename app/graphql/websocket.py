"""GraphQL over WebSocket (`graphql-transport-ws`): each operation runs as over HTTP, in a transaction of its own.

Owns the difference to the library's handler: text frames, one context for each operation, our limits and our errors.
The key comes in the handshake's Authorization header or, from browsers, in the payload of `connection_init`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from app.errors import BillingError
from app.graphql.errors import ApiError, Code, public
from app.graphql.execution import Operation, Result
from app.graphql.limits import decode_json
from app.graphql.live import opened

MAX_OPERATIONS = 20
"""Of one connection at a time; subscriptions are operations that go on."""
SEND_SECONDS = 30.0

if TYPE_CHECKING:
    from app.graphql.context import Authenticate
    from app.graphql.http import GraphQLEndpoint


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames, since browsers' clients do not read binary ones; reads under the limits of a body."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Messages as objects; anything else ends the connection with 4400."""
        limits = cast("GraphQLEndpoint", self.view).gateway.documents.limits
        try:
            while self.ws.application_state != WebSocketState.DISCONNECTED:
                text = (await self.ws.receive_text()).encode("utf-8", "surrogatepass")
                try:
                    message = decode_json(text[: limits.body_bytes + 1], depth=limits.json_depth)
                except ApiError as error:
                    raise NonJsonMessageReceived from error
                if not isinstance(message, dict) or len(text) > limits.body_bytes:
                    raise NonJsonMessageReceived
                yield message
        except KeyError as error:
            raise NonTextMessageReceived from error
        except WebSocketDisconnect:
            return

    async def send_json(self, message: Any) -> None:
        """Send one message as text."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.ws.send_text(orjson.dumps(message, default=str).decode())
        except (WebSocketDisconnect, RuntimeError, TimeoutError) as error:
            raise WebSocketDisconnected from error


class WebSocketHandler(BaseGraphQLTransportWSHandler[Any, Any]):
    """One connection. The caller is asked for at its start and again by each operation, so a revoked key ends it."""

    async def handle_connection_init(self, message: Any) -> None:
        """Accept a connection only from a caller we know; 4403 for all others."""
        payload = message.get("payload")
        self.context["sent"] = payload if isinstance(payload, dict) else {}
        view = cast("GraphQLEndpoint", self.view)
        try:
            authenticate = view.door.authenticator(self.context["connection"], authorization=self._authorization())
            async with view.gateway.open(authenticate, request_id=""):
                pass
        except (ApiError, BillingError):
            await self.websocket.close(code=4403, reason="Forbidden")
            return
        await super().handle_connection_init(message)

    async def handle_subscribe(self, message: Any) -> None:
        """Begin an operation, unless too many are under way."""
        if len(self.operations) >= MAX_OPERATIONS and message["id"] not in self.operations:
            full = ApiError(Code.LIMIT_EXCEEDED, f"A connection carries at most {MAX_OPERATIONS} operations at a time.")
            refusal: Any = {"id": message["id"], "type": "error", "payload": [public(full, request_id="")]}
            await self.send_message(refusal)
            return
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Any) -> None:
        """Answer one `subscribe` message."""
        request_id = str(self.context["connection"].scope.get("state", {}).get("request_id", ""))
        try:
            async with aclosing(self._results(operation, request_id)) as results:
                async for result in results:
                    body = result.body(request_id=request_id)
                    if not result.executed:
                        message = {"id": operation.id, "type": "error", "payload": body["errors"]}
                        await operation.send_operation_message(message)
                        return
                    await operation.send_operation_message({"id": operation.id, "type": "next", "payload": body})
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except WebSocketDisconnected:
            with suppress(KeyError):
                self.forget_id(operation.id)
            # A client that takes nothing any more keeps no connection.
            with suppress(WebSocketDisconnected, RuntimeError):
                await self.websocket.close(code=1013, reason="Too slow")

    async def _results(self, operation: Any, request_id: str) -> AsyncGenerator[Result]:
        """What an operation comes to: one result, of a subscription any number; one that was not executed is the last."""
        gateway = cast("GraphQLEndpoint", self.view).gateway
        try:
            wanted, authenticate = self._asked(operation)
            if not gateway.is_subscription(wanted):
                yield await gateway.run(wanted, authenticate, request_id=request_id)
                return
            async with opened(gateway, wanted, authenticate, request_id=request_id) as found:
                if isinstance(found, Result):
                    yield found
                    return
                async for result in found:
                    yield result
        except GraphQLError as error:
            yield Result(executed=False, data=None, errors=[error])
        except Exception as error:
            # Ours is told with its code; a fault is masked, and logged with the request id, when the body is made.
            message = error.message if isinstance(error, BillingError) else "fault"
            yield Result(executed=False, data=None, errors=[GraphQLError(message, original_error=error)])

    def _asked(self, operation: Any) -> tuple[Operation, Authenticate]:
        if not isinstance(operation.query, str) or not isinstance(operation.variables, dict | None):
            raise ApiError(Code.BAD_REQUEST, "'query' must be a string and 'variables' an object or null.")
        view = cast("GraphQLEndpoint", self.view)
        authenticate = view.door.authenticator(self.context["connection"], authorization=self._authorization())
        name = operation.operation_name if isinstance(operation.operation_name, str) else None
        return Operation(operation.query, operation.variables, name or None), authenticate

    def _authorization(self) -> str | None:
        """The key that a browser sent in `connection_init`, where handshakes cannot carry headers."""
        sent = self.context.get("sent", {})
        found = sent.get("Authorization") or sent.get("authorization")
        return found if isinstance(found, str) else None
