"""The routes that are not GraphQL, and what is done to every request.

Owns health, readiness and metrics, request ids, security headers and the access log. Pages and GraphQL live elsewhere;
usage over HTTP (`POST /v1/events`) and webhooks are added here.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None when all is well, else what is wrong, in words that may be public."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
"""On every answer that does not bring its own."""

log = structlog.get_logger("metrograph.http")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class Metrics:
    """Counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "metrograph_http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "metrograph_http_request_seconds", "Time to answer a request.", ["route"], registry=self.registry
        )


def health_routes(metrics: Metrics, checks: Mapping[str, Check]) -> list[BaseRoute]:
    """`/healthz` (the process answers), `/readyz` (it can work) and `/metrics` (Prometheus)."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        problems = {name: problem for name, check in checks.items() if (problem := await check()) is not None}
        if problems:
            return JSONResponse({"status": "unavailable", "problems": problems}, 503, headers={"Retry-After": "1"})
        return JSONResponse({"status": "ok"})

    async def prometheus(_request: Request) -> Response:
        return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", prometheus)]


class Envelope:
    """Middleware around everything: a request id, security headers, the access log, and a last net for faults."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, routes: frozenset[str]) -> None:
        self.app = app
        self.metrics = metrics
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("fault in a route", request_id=request_id, path=scope["path"])
            if status:
                raise
            message = f"Something went wrong on our side; the request id is {request_id}."
            answer = JSONResponse({"errors": [{"code": "INTERNAL", "message": message}]}, 500)
            await answer(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.perf_counter() - started, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        # Unknown paths share one label: callers must not be able to make new time series.
        route = scope["path"].rstrip("/") if scope["path"].rstrip("/") in self.routes else "other"
        self.metrics.requests.labels(scope["method"][:10], route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        log.info(
            "request",
            method=scope["method"][:10],
            path=scope["path"][:200],
            status=status,
            milliseconds=round(seconds * 1000, 1),
            request_id=request_id,
        )


def _request_id(scope: Scope) -> str:
    """The caller's own id when it is a plain one, else a fresh one."""
    sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
