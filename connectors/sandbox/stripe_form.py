"""Stripe's form encoding and its memory of idempotency keys.

Owns how `lines[0][amount]=5` becomes nested values, how wrong parameters are refused, and how a repeated key replays
its first answer for a day. Leaves invoices to `sandbox/stripe.py`.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

from psycopg.types.json import Jsonb

from connectors.sandbox.gate import Answer
from connectors.sandbox.store import Connection

KEY_LIFETIME = timedelta(hours=24)


class Refusal(Exception):
    """A request that Stripe refuses, in the shape of its errors."""

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.answer = failure(status, kind or "invalid_request_error", message, code=code, param=param)


def failure(status: int, kind: str, message: str, *, code: str | None = None, param: str | None = None) -> Answer:
    """An error body as docs.stripe.com/api/errors describes it (November 2026)."""
    error = {"type": kind, "message": message, "code": code, "param": param}
    return Answer(status, {"error": {key: value for key, value in error.items() if value is not None}})


def parse_form(text: str) -> dict[str, Any]:
    """Brackets become nested objects; objects with the keys 0, 1, … become lists."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *path = [part for part in re.split(r"[\[\]]+", name) if part]
        place, key = root, head
        for part in path:
            inner: object = place.setdefault(key, {})
            if not isinstance(inner, dict):
                raise Refusal("Invalid object", param=name)
            place, key = cast("dict[str, Any]", inner), part
        place[key] = value
    return cast("dict[str, Any]", _listed(root))


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    nested = {key: _listed(item) for key, item in cast("dict[str, Any]", value).items()}
    if nested and list(nested) == [str(place) for place in range(len(nested))]:
        return list(nested.values())
    return nested


def page_of(items: list[dict[str, Any]], limit: int, url: str) -> dict[str, Any]:
    """A list as Stripe pages it; one item more than the limit says that there are others."""
    return {"object": "list", "data": items[:limit], "has_more": len(items) > limit, "url": url}


def whole(values: dict[str, Any], name: str) -> int | None:
    """An integer parameter; `500.00` and `1e3` are refused."""
    value = values.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,18}", value):
        raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def metadata(values: dict[str, Any]) -> dict[str, str]:
    """At most 50 pairs, keys of 40 and values of 500 characters."""
    pairs: object = values.get("metadata") or {}
    if not isinstance(pairs, dict):
        raise Refusal("Invalid object", param="metadata")
    given = cast("dict[str, str]", pairs)
    if len(given) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in given.items()):
        raise Refusal("Metadata is too large", param="metadata")
    return {key: value for key, value in given.items() if value}


async def with_key(
    connection: Connection, *, key: str | None, request: str, now: datetime, act: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Do it once for each key: the first answer, 500s included, is replayed for 24 hours.

    Other parameters under the same key are refused; validation failures and slow-downs are not kept.
    """
    if not key:
        return await act()
    digest = hashlib.sha256(request.encode()).hexdigest()
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)
    cursor = await connection.execute("select pg_try_advisory_xact_lock(%s) as is_free", [number])
    row = await cursor.fetchone()
    if row is None or not row["is_free"]:
        text = "There is currently another in-progress request using this Idempotent Key."
        return failure(409, "invalid_request_error", text, code="idempotency_key_in_use")
    await connection.execute("delete from sandbox.stripe_keys where at <= %s", [now - KEY_LIFETIME])
    cursor = await connection.execute("select * from sandbox.stripe_keys where key = %s", [key])
    kept = await cursor.fetchone()
    if kept is not None and kept["request"] != digest:
        text = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        return failure(400, "idempotency_error", text)
    if kept is not None:
        return Answer(kept["status"], kept["body"], {"idempotent-replayed": "true", "request-id": request_id()})
    answer = await act()
    if answer.status not in (400, 409, 429):
        await connection.execute(
            "insert into sandbox.stripe_keys (key, request, status, body, at) values (%s, %s, %s, %s, %s)",
            [key, digest, answer.status, Jsonb(answer.body), now],
        )
    return answer


def request_id() -> str:
    """A fresh id in Stripe's style."""
    return f"req_{uuid.uuid4().hex[:14]}"
