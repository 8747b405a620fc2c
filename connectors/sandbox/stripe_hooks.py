"""Stripe's webhooks: its events, signed and posted to a loopback address when the control desk asks for it.

Owns the sending, in whatever disorder is asked for: each event several times, shuffled, signed at another time. Nothing is
sent by itself. Source: docs.stripe.com/webhooks, November 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connectors.sandbox.gate import to_json
from connectors.sandbox.store import Row, SandboxStore

SIGNED_WITH = "whsec_sandbox"
"""The secret, unless the order names another one."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_SENT = 2_000


def routes(store: SandboxStore) -> list[Route]:
    """The control route `POST /_sandbox/stripe/send`: `{url, secret, kinds, copies, seed, skew}`.

    Sends every event `copies` times in an order that `seed` decides (absent: as they happened), signed `skew` seconds off
    the clock, and answers with the statuses and the longest wait.
    """

    async def send(request: Request) -> JSONResponse:
        order: dict[str, Any] = await request.json()
        address = urlsplit(str(order.get("url", "")))
        if address.scheme != "http" or address.hostname not in LOOPBACK:
            return JSONResponse({"error": "url takes an http address on this machine only"}, 400)
        rows = await store.rows("select body from sandbox.stripe_events order by seq")
        kinds = set(order.get("kinds") or [])
        events = [row["body"] for row in rows if not kinds or row["body"]["type"] in kinds]
        bodies = [to_json(event) for event in events for _ in range(int(order.get("copies", 1)))]
        if len(bodies) > MAX_SENT:
            return JSONResponse({"error": f"at most {MAX_SENT} webhooks an order, not {len(bodies)}"}, 400)
        if order.get("seed") is not None:
            random.Random(order["seed"]).shuffle(bodies)  # noqa: S311 - disorder, not secrecy
        stamp = int(store.clock().timestamp()) + int(order.get("skew", 0))
        return JSONResponse(await _sent(address.geturl(), bodies, str(order.get("secret", SIGNED_WITH)), stamp))

    return [Route("/_sandbox/stripe/send", send, methods=["POST"])]


async def _sent(url: str, bodies: list[bytes], secret: str, stamp: int) -> Row:
    statuses: list[int] = []
    slowest = 0.0
    async with httpx.AsyncClient(timeout=30) as http:
        for body in bodies:
            started = time.monotonic()
            answer = await http.post(url, content=body, headers=signature(body, secret=secret, stamp=stamp))
            slowest = max(slowest, time.monotonic() - started)
            statuses.append(answer.status_code)
    return {"sent": len(bodies), "statuses": sorted(set(statuses)), "slowestSeconds": round(slowest, 3)}


def signature(body: bytes, *, secret: str, stamp: int) -> dict[str, str]:
    """The headers that Stripe sends with a webhook; the old scheme stands beside the current one, and counts nothing."""
    digest = hmac.new(secret.encode(), str(stamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={digest},v0={'0' * 64}", "Content-Type": "application/json"}
