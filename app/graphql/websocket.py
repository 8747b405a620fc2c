"""GraphQL over WebSocket (`graphql-transport-ws`): each operation runs as over HTTP, in a transaction of its own.

Owns the difference to the library's handler: text frames, one context for each operation, our limits and our errors.
The key comes in the handshake's Authorization header or, from browsers, in the payload of `connection_init`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from app.graphql.errors import ApiError, Code
from app.graphql.execution import Operation, Result

if TYPE_CHECKING:
    from app.graphql.http import GraphQLEndpoint


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames: browsers' clients do not read binary ones."""

    async def send_json(self, message: Any) -> None:
        try:
            await self.ws.send_text(orjson.dumps(message, default=str).decode())
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error


class WebSocketHandler(BaseGraphQLTransportWSHandler[Any, Any]):
    """One connection. The caller is asked for at its start and again by each operation, so a revoked key ends it."""

    async def run_operation(self, operation: Any) -> None:
        """Answer one `subscribe` message."""
        view = cast("GraphQLEndpoint", self.view)
        connection = self.context["connection"]
        request_id = str(connection.scope.get("state", {}).get("request_id", ""))
        try:
            result = await self._result(view, connection, operation, request_id)
            body = result.body(request_id=request_id)
            if result.executed:
                await operation.send_operation_message({"id": operation.id, "type": "next", "payload": body})
                await operation.send_operation_message({"id": operation.id, "type": "complete"})
            else:
                message = {"id": operation.id, "type": "error", "payload": body["errors"]}
                await operation.send_operation_message(message)
        except WebSocketDisconnected:
            with suppress(KeyError):
                self.forget_id(operation.id)

    async def _result(self, view: GraphQLEndpoint, connection: Any, operation: Any, request_id: str) -> Result:
        try:
            if not isinstance(operation.query, str) or not isinstance(operation.variables, dict | None):
                raise ApiError(Code.BAD_REQUEST, "'query' must be a string and 'variables' an object or null.")
            authenticate = view.door.authenticator(connection, authorization=authorization(self.context))
            wanted = Operation(operation.query, operation.variables, operation.operation_name or None)
            return await view.gateway.run(wanted, authenticate, request_id=request_id)
        except GraphQLError as error:
            return Result(executed=False, data=None, errors=[error])
        except Exception as error:
            # Shown masked and logged with the request id by `public`.
            return Result(executed=False, data=None, errors=[GraphQLError("fault", original_error=error)])


def authorization(context: dict[str, Any]) -> str | None:
    """The key that a browser sent in `connection_init`, where handshakes cannot carry headers."""
    parameters = context.get("connection_params") or {}
    sent = parameters.get("Authorization") or parameters.get("authorization")
    return sent if isinstance(sent, str) else None
