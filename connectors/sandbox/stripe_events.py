"""Stripe's events: one for each change of an invoice, written in its transaction and listed for 30 days.

Owns the events; leaves their sending to `sandbox/stripe_hooks.py`. Source: docs.stripe.com/api/events/list, November 2026.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, cast

from psycopg.types.json import Jsonb
from starlette.requests import Request

from connectors.sandbox.store import Connection, Row
from connectors.sandbox.stripe_form import Refusal, page_of, whole
from connectors.sandbox.stripe_params import require_params

API_VERSION = "2026-10-28.endive"
LIST = frozenset({"created", "limit", "starting_after", "type", "types", "expand"})
LISTED = timedelta(days=30)


async def note(connection: Connection, kind: str, shown: Row, now: int) -> None:
    """Write an event about the invoice as it is shown now."""
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": shown},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    await connection.execute(
        "insert into sandbox.stripe_events (id, kind, created, body) values (%s, %s, %s, %s)",
        [event["id"], kind, now, Jsonb(event)],
    )


async def list_events(connection: Connection, _: Request, values: dict[str, Any], now: int) -> Row:
    """Newest first, those of the last 30 days; filtered by creation and by kind."""
    require_params("EventListParams", values, simulated=LIST)
    created: dict[str, Any] = values.get("created") or {}
    kinds = cast("list[str]", values.get("types") or [])
    if kinds and "type" in values:
        raise Refusal("You may pass either type or types, but not both", param="type")
    if len(kinds) > 20:
        raise Refusal("types takes at most 20 names", param="types")
    cursor = await connection.execute(
        "select body from sandbox.stripe_events where created >= %s and created < %s"
        " and seq < coalesce((select seq from sandbox.stripe_events where id = %s), 9223372036854775807)"
        " order by seq desc",
        [
            max(whole(created, "gte") or 0, now - int(LISTED.total_seconds())),
            whole(created, "lt") or 2**62,
            values.get("starting_after"),
        ],
    )
    wanted = [values["type"]] if "type" in values else kinds or ["*"]
    bodies = [cast("Row", row["body"]) for row in await cursor.fetchall()]
    found = [body for body in bodies if any(fnmatchcase(body["type"], pattern) for pattern in wanted)]
    limit = min(whole(values, "limit") or 10, 100)
    return page_of(found[: limit + 1], limit, "/v1/events")
