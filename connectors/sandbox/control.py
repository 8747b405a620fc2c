"""The stand-ins' control desk: order faults, see effects and calls, start afresh.

Owns `/_sandbox/…`. Leaves the providers' own routes to their modules. Nothing here counts as a provider call.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connectors.sandbox.gate import KINDS
from connectors.sandbox.store import PARTS, Row, SandboxStore

METERED = ("aws_marketplace", "azure_marketplace", "gcp_marketplace")
PROVIDERS = ("stripe", *METERED, "custom")


def routes(store: SandboxStore) -> list[Route]:
    """The four control routes."""

    async def faults(request: Request) -> JSONResponse:
        order: dict[str, Any] = await request.json()
        if order.get("provider") not in PROVIDERS or order.get("kind") not in KINDS:
            accepted = {"provider": PROVIDERS, "kind": sorted(KINDS)}
            return JSONResponse({"error": "unknown provider or kind", "accepted": accepted}, 400)
        # `times` null means for ever.
        values = [
            order["provider"],
            order.get("match", ""),
            order["kind"],
            order.get("after", 0),
            order.get("times", 1),
            str(order.get("seconds", 1)),
        ]
        found = await store.rows(
            "insert into sandbox.faults (provider, match, kind, skip, times, seconds)"
            " values (%s, %s, %s, %s, %s, %s) returning id",
            values,
        )
        return JSONResponse({"id": found[0]["id"]}, 201)

    async def effects(_: Request) -> JSONResponse:
        return JSONResponse(await _effects(store))

    async def calls(request: Request) -> JSONResponse:
        provider, state = request.query_params.get("provider"), request.query_params.get("state")
        rows = await store.rows(
            "select * from sandbox.calls where coalesce(%s::text, provider) = provider"
            " and coalesce(%s::text, state) = state order by id",
            [provider, state],
        )
        by_provider = Counter(row["provider"] for row in rows)
        return JSONResponse(
            {
                "count": len(rows),
                "byProvider": {name: by_provider[name] for name in PROVIDERS},
                "calls": [{**row, "at": row["at"].isoformat()} for row in rows],
            }
        )

    async def reset(request: Request) -> JSONResponse:
        body = await request.body()
        only: list[str] = (await request.json()).get("only", list(PARTS)) if body else list(PARTS)
        if not only or set(only) - set(PARTS):
            return JSONResponse({"error": f"only takes some of {sorted(PARTS)}"}, 400)
        await store.reset(only)
        return JSONResponse({"reset": only})

    return [
        Route("/_sandbox/faults", faults, methods=["POST"]),
        Route("/_sandbox/effects", effects, methods=["GET"]),
        Route("/_sandbox/calls", calls, methods=["GET"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
    ]


async def _effects(store: SandboxStore) -> Row:
    """What every stand-in counts, oldest first."""
    invoices = await store.rows("select body from sandbox.stripe_invoices order by seq")
    slots = await store.rows("select * from sandbox.slots order by provider, hour, slot")
    messages = await store.rows("select * from sandbox.messages order by seq")
    requests = await store.rows("select term, body from sandbox.payment_requests order by seq")
    metered = {name: _metered([slot for slot in slots if slot["provider"] == name]) for name in METERED}
    metered["aws_marketplace"]["requests"] = [_request(row) for row in requests]
    made = [_invoice(row["body"]) for row in invoices]
    received = [_message(row) for row in messages]
    return {"stripe": {"invoices": made}, **metered, "custom": {"messages": received}}


def _invoice(body: Row) -> Row:
    """What a test or the demo wants to know of an invoice; `total` in Stripe's minor units."""
    kept = ("id", "customer", "status", "currency", "total", "effective_at", "metadata", "created", "collection_method")
    lines: list[Row] = body["lines"]
    return {**{name: body[name] for name in kept}, "lines": lines}


def _request(row: Row) -> Row:
    body: Row = row["body"]
    kept = ("agreementId", "status", "name", "description", "currencyCode")
    return {"id": body["paymentRequestId"], "term": row["term"], "amount": body["chargeAmount"],
            **{name: body[name] for name in kept}}  # fmt: skip


def _message(row: Row) -> Row:
    return {"channel": row["channel"], "id": row["id"], "sends": row["sends"], "body": json.loads(bytes(row["body"]))}


def _metered(slots: list[Row]) -> Row:
    sums: dict[tuple[str, str], Any] = {}
    for slot in slots:
        key = (slot["customer"], slot["dimension"])
        sums[key] = sums.get(key, 0) + slot["quantity"]
    return {
        "sums": [
            {"customer": customer, "dimension": dimension, "quantity": str(quantity)}
            for (customer, dimension), quantity in sorted(sums.items())
        ],
        "slots": [
            {
                "customer": slot["customer"],
                "dimension": slot["dimension"],
                "hour": slot["hour"].isoformat(),
                "quantity": str(slot["quantity"]),
                "sends": slot["sends"],
            }
            for slot in slots
        ],
    }
