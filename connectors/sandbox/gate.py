"""The gate that every provider call passes: it is logged, and it meets its fault.

Owns the faults' behavior on the wire. Leaves what a call does, and how a provider words an error, to the provider
modules. A hanging call is committed as `hanging` before it hangs, so that a test can kill the caller at that step.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.sandbox.store import Connection, SandboxStore

KINDS = frozenset(
    {
        "refuse_500", "throttle_429", "drop_before", "drop_after", "slow", "hang_before", "hang_after", "html_200",
        "error_in_200", "reject",
    }
)  # fmt: skip
_HTML = b"<html><body><h1>It works!</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider says: a status, a JSON body (or bytes as they are) and headers of its own."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


# Does the call in one transaction. The second argument, when given, is the answer to fall over with instead.
Act = Callable[[Connection, Answer | None], Awaitable[Answer]]


class CutResponse(Response):
    """An answer that breaks off after its headers: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a body, then leave; the server closes the connection."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"64")]})


async def pass_gate(
    request: Request,
    store: SandboxStore,
    *,
    provider: str,
    operation: str,
    act: Act,
    failures: Mapping[str, Answer],
    media_type: str = "application/json",
) -> Response:
    """Log the call, let its fault happen, and otherwise do it. `failures` words refuse_500, throttle_429 and so on."""
    call, fault = await store.begin_call(provider, operation, f"{request.method} {request.url.path}")
    kind = fault.kind if fault else ""
    if kind == "html_200":
        await store.mark_call(call, "done", 200)
        return Response(_HTML, media_type="text/html")
    if kind == "drop_before":
        await store.mark_call(call, "dropped")
        return CutResponse()
    if kind == "hang_before":
        return await _hang(request, store, call)
    if kind == "slow" and fault is not None:
        await asyncio.sleep(fault.seconds)
    async with store.transaction() as connection:
        answer = await act(connection, failures.get(kind))
    if kind == "drop_after":
        await store.mark_call(call, "dropped")
        return CutResponse()
    if kind == "hang_after":
        return await _hang(request, store, call)
    await store.mark_call(call, "done", answer.status)
    content = answer.body if isinstance(answer.body, bytes) else to_json(answer.body)
    return Response(content, answer.status, dict(answer.headers), media_type)


async def _hang(request: Request, store: SandboxStore, call: int) -> Response:
    await store.mark_call(call, "hanging")
    while (await request.receive())["type"] != "http.disconnect":
        pass
    await store.mark_call(call, "abandoned")
    return CutResponse()


def to_json(body: object) -> bytes:
    """JSON text; a Decimal becomes a number with the digits it has."""
    return json.dumps(body, default=_number).encode()


def _number(value: object) -> int | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
