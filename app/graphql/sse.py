"""A subscription as server-sent events, after the protocol graphql-sse in distinct-connections mode.

Owns the response: what comes is sent as it comes, a comment when nothing does, and the stream is left as soon as the
client is gone or takes nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus

from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import BillingError, LimitExceeded
from app.graphql.answers import encode, respond
from app.graphql.context import Authenticate
from app.graphql.execution import Gateway, Operation, Result
from app.graphql.live import opened
from app.graphql.media import EVENT_STREAM, LAST_EVENT, STILL_THERE, as_event

PING_SECONDS = 12.0
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is left."""


async def stream(gateway: Gateway, operation: Operation, authenticate: Authenticate, *, request_id: str) -> Response:
    """The response to a subscription: a stream, or why there is none."""
    try:
        async with AsyncExitStack() as stack:
            found = await stack.enter_async_context(opened(gateway, operation, authenticate, request_id=request_id))
            if isinstance(found, Result):
                return respond(found, EVENT_STREAM, request_id)
            return EventStream(found, stack.pop_all(), request_id=request_id)
    except BillingError as error:
        refused = Result(executed=False, data=None, errors=[GraphQLError(error.message, original_error=error)])
        status = HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, LimitExceeded) else error.status
        return respond(refused, EVENT_STREAM, request_id, status=int(status))


class EventStream(Response):
    """Sends results until there are no more; closes what `stack` holds afterwards, however it ends."""

    media_type = EVENT_STREAM

    def __init__(self, results: AsyncGenerator[Result], stack: AsyncExitStack, *, request_id: str) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.results = results
        self.stack = stack
        self.request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stack:
            tasks = {asyncio.create_task(self._send(send)), asyncio.create_task(_gone(receive))}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    with suppress(TimeoutError):
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # Proxies and clients learn that the stream has begun; from now on everything is heard.
        await _put(send, STILL_THERE)
        coming = asyncio.ensure_future(anext(self.results))
        try:
            while True:
                await asyncio.wait({coming}, timeout=PING_SECONDS)
                if not coming.done():
                    await _put(send, STILL_THERE)
                    continue
                try:
                    result = coming.result()
                except StopAsyncIteration:
                    break
                await _put(send, as_event(encode(result.body(request_id=self.request_id))))
                coming = asyncio.ensure_future(anext(self.results))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await send({"type": "http.response.body", "body": LAST_EVENT, "more_body": False})


async def _put(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
