"""The gate that every provider call passes: it is logged, and it meets its fault.

Owns the faults' behavior on the wire. Leaves what a call does, and how a provider words an error, to the provider
modules. A hanging call is committed as `hanging` before it hangs, so that a test can kill the caller at that step.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.sandbox.store import Connection, SandboxStore

KINDS = frozenset(
    {
        "refuse_500", "refuse_503", "throttle_429", "throttle_bare", "drop_before", "drop_after", "reset_before",
        "reset_after", "slow", "hang_before", "hang_after", "html_200", "error_in_200", "reject", "expired",
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


class ResetResponse(Response):
    """No answer at all: the connection is torn down, as by a machine that dies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tear the server's own connection down; under a server that shows none, break off like the other."""
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is None:
            await CutResponse()(scope, receive, send)
        else:
            transport.abort()


BROKEN: dict[str, type[Response]] = {"drop": CutResponse, "reset": ResetResponse}
"""Kinds that leave the caller without an answer, before the effect or after it."""


def worded(kind: str, failures: Mapping[str, Answer]) -> Answer | None:
    """How a provider words a kind of failure; two of them are those of their sisters but for one detail."""
    if kind == "refuse_503":
        return replace(failures["refuse_500"], status=503)
    if kind == "throttle_bare":
        return replace(failures["throttle_429"], headers={})
    return failures.get(kind)


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
    broken, _, place = kind.partition("_")
    if broken in BROKEN and place == "before":
        await store.mark_call(call, "dropped")
        return BROKEN[broken]()
    if kind == "hang_before":
        return await _hang(request, store, call)
    if kind == "slow" and fault is not None:
        await asyncio.sleep(fault.seconds)
    async with store.transaction() as connection:
        answer = await act(connection, worded(kind, failures))
    if broken in BROKEN and place == "after":
        await store.mark_call(call, "dropped")
        return BROKEN[broken]()
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
