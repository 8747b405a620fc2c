"""Stripe's invoices as they answer over HTTP: form encoding, drafts, lines, totals, life cycle.

Owns the invoice routes and the state behind them. Leaves encoding and idempotency keys to `stripe_form`. Any customer
`cus_…` exists unless its id begins with `cus_missing`; a key that begins with `sk_revoked` is refused. Source of all
rules: docs.stripe.com/api/invoices, November 2026.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox import stripe_credits, stripe_events, stripe_tax_rates
from connectors.sandbox.gate import Answer, pass_gate
from connectors.sandbox.store import Connection, Row, SandboxStore
from connectors.sandbox.stripe_form import (
    Refusal,
    failure,
    metadata,
    page_of,
    parse_form,
    request_id,
    whole,
    with_key,
)
from connectors.sandbox.stripe_params import require_params

PROVIDER = "stripe"
LIST = frozenset({"customer", "status", "created", "limit", "starting_after", "expand"})
MAX_LINES = 250
INLINE_LINES = 10
CREATE = frozenset(
    {
        "auto_advance", "automatic_tax", "collection_method", "currency", "custom_fields", "customer", "days_until_due",
        "default_tax_rates", "description", "discounts", "due_date", "effective_at", "expand", "footer", "metadata", "number",
        "pending_invoice_items_behavior",
    }
)  # fmt: skip
UPDATE = CREATE - {"customer", "currency", "pending_invoice_items_behavior"}
DECLINED = "pm_card_chargeDeclined"
"""The payment method with which every payment fails (docs.stripe.com/testing, November 2026)."""
LINE = frozenset({"amount", "description", "discountable", "metadata", "period", "quantity", "tax_rates"})

FAILURES = {
    "refuse_500": failure(500, "api_error", "An unknown error occurred."),
    "throttle_429": Answer(
        429,
        {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}},
        {"retry-after": "1", "stripe-rate-limited-reason": "global-rate"},
    ),
    "reject": failure(400, "invalid_request_error", "Refused on request.", code="parameter_invalid"),
    "expired": failure(401, "invalid_request_error", "Expired API key provided.", code="api_key_expired"),
    "error_in_200": Answer(200, {"error": {"type": "api_error", "message": "An unknown error occurred."}}),
}

Handler = Callable[[Connection, Request, dict[str, Any], int], Awaitable[Row]]


def routes(store: SandboxStore) -> list[Route]:
    """Method and path to handler, as one table."""

    def route(method: str, path: str, operation: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            text = (await request.body()).decode() if method == "POST" else request.url.query

            async def act(connection: Connection, forced: Answer | None) -> Answer:
                if forced is not None and forced.status != 500:
                    return forced

                async def work() -> Answer:
                    if forced is not None:
                        return forced
                    try:
                        values = parse_form(text)
                        return Answer(200, await handler(connection, request, values, int(store.clock().timestamp())))
                    except Refusal as refusal:
                        return refusal.answer

                if not _is_allowed(request):
                    return failure(401, "invalid_request_error", "Invalid API Key provided: sk_****")
                key = request.headers.get("idempotency-key") if method == "POST" else None
                said = f"{request.url.path} {text}"
                return await with_key(connection, key=key, request=said, now=store.clock(), act=work)

            response = await pass_gate(
                request, store, provider=PROVIDER, operation=operation, act=act, failures=FAILURES
            )
            response.headers.setdefault("request-id", request_id())
            return response

        return Route(path, endpoint, methods=[method])

    return [
        route("POST", "/v1/invoices", "invoices.create", _create),
        route("GET", "/v1/invoices", "invoices.list", _list),
        route("GET", "/v1/invoices/{id}", "invoices.retrieve", _retrieve),
        route("POST", "/v1/invoices/{id}", "invoices.update", _update),
        route("DELETE", "/v1/invoices/{id}", "invoices.delete", _delete),
        route("GET", "/v1/invoices/{id}/lines", "invoices.lines", _lines),
        route("POST", "/v1/invoices/{id}/add_lines", "invoices.add_lines", _add_lines),
        route("POST", "/v1/invoices/{id}/finalize", "invoices.finalize", _finalize),
        route("POST", "/v1/invoices/{id}/pay", "invoices.pay", _pay),
        route("POST", "/v1/invoices/{id}/void", "invoices.void", _void),
        route("POST", "/v1/invoices/{id}/mark_uncollectible", "invoices.mark_uncollectible", _give_up),
        route("POST", "/v1/credit_notes", "credit_notes.create", stripe_credits.create_note),
        route("GET", "/v1/credit_notes", "credit_notes.list", stripe_credits.list_notes),
        route("GET", "/v1/events", "events.list", stripe_events.list_events),
        route("GET", "/v1/customers/{id}", "customers.retrieve", _customer),
    ]


def _is_allowed(request: Request) -> bool:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return scheme == "Bearer" and key.startswith("sk_") and not key.startswith("sk_revoked")


async def _create(connection: Connection, _: Request, values: dict[str, Any], now: int) -> Row:
    require_params("InvoiceCreateParams", values, simulated=CREATE)
    customer = _existing_customer(values.get("customer", ""))
    method = values.get("collection_method", "charge_automatically")
    if "days_until_due" in values and method != "send_invoice":
        raise Refusal("days_until_due needs collection_method=send_invoice", param="days_until_due")
    if (whole(values, "due_date") or now + 1) <= now:
        raise Refusal("due_date must be in the future", param="due_date")
    body: Row = {
        "id": f"in_{uuid.uuid4().hex[:24]}",
        "object": "invoice",
        "status": "draft",
        "customer": customer,
        "currency": values.get("currency", "usd"),
        "collection_method": method,
        "auto_advance": values.get("auto_advance") == "true",
        "automatic_tax": values.get("automatic_tax") == {"enabled": "true"},
        "default_tax_rates": stripe_tax_rates.known(values),
        "days_until_due": whole(values, "days_until_due"),
        "due_date": whole(values, "due_date"),
        "effective_at": whole(values, "effective_at"),
        "metadata": metadata(values),
        "custom_fields": _printed(values),
        "created": now,
        "period_start": now,
        "period_end": now,
        "number": values.get("number"),
        "livemode": False,
        "amount_paid": 0,
        "attempt_count": 0,
        "total": 0,
        "lines": [],
    }
    await connection.execute(
        "insert into sandbox.stripe_invoices (id, customer, body) values (%s, %s, %s)",
        [body["id"], customer, Jsonb(body)],
    )
    await stripe_events.note(connection, "invoice.created", _shown(body), now)
    return _shown(body)


def _printed(values: dict[str, Any]) -> list[dict[str, str]]:
    """At most 4 fields, names of 40 and values of 140 characters."""
    given = cast("list[dict[str, str]]", values.get("custom_fields") or [])
    if len(given) > 4 or any(len(one["name"]) > 40 or len(one["value"]) > 140 for one in given):
        raise Refusal("Too many custom fields, or too long ones", param="custom_fields")
    return given


async def _list(connection: Connection, _: Request, values: dict[str, Any], now: int) -> Row:
    """Newest first, filtered by customer, status and creation; `starting_after` continues."""
    require_params("InvoiceListParams", values, simulated=LIST)
    limit = min(whole(values, "limit") or 10, 100)
    created: dict[str, Any] = values.get("created") or {}
    cursor = await connection.execute(
        "select body from sandbox.stripe_invoices"
        " where coalesce(%s::text, customer) = customer and coalesce(%s::text, body->>'status') = body->>'status'"
        " and (body->>'created')::bigint >= %s and (body->>'created')::bigint < %s"
        " and seq < coalesce((select seq from sandbox.stripe_invoices where id = %s), 9223372036854775807)"
        " order by seq desc limit %s",
        [
            values.get("customer"),
            values.get("status"),
            whole(created, "gte") or 0,
            whole(created, "lt") or 2**62,
            values.get("starting_after"),
            limit + 1,
        ],
    )
    found = [_shown(row["body"]) for row in await cursor.fetchall()]
    return page_of(found, limit, "/v1/invoices")


async def _retrieve(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    return _shown(await _locked(connection, request))


async def _update(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    require_params("InvoiceUpdateParams", values, simulated=UPDATE)
    body = await _draft(connection, request)
    if "effective_at" in values:
        body["effective_at"] = whole(values, "effective_at")
    if "auto_advance" in values:
        body["auto_advance"] = values["auto_advance"] == "true"
    body["metadata"] = {**body["metadata"], **metadata(values)}
    return await _saved(connection, body, "invoice.updated", now)


async def _delete(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    body = await _draft(connection, request)
    await connection.execute("delete from sandbox.stripe_invoices where id = %s", [body["id"]])
    await stripe_events.note(connection, "invoice.deleted", _shown(body), now)
    return {"id": body["id"], "object": "invoice", "deleted": True}


async def _lines(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    body = await _locked(connection, request)
    limit = min(whole(values, "limit") or 10, 100)
    lines = cast("list[Row]", body["lines"])
    ids = [line["id"] for line in lines]
    after = values.get("starting_after")
    start = ids.index(after) + 1 if after in ids else 0
    return page_of(lines[start : start + limit + 1], limit, f"/v1/invoices/{body['id']}/lines")


async def _add_lines(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    require_params("InvoiceAddLinesParams", values, simulated=frozenset({"lines", "expand"}))
    body = await _draft(connection, request)
    given = cast("list[dict[str, Any]]", values.get("lines") or [])
    if len(body["lines"]) + len(given) > MAX_LINES:
        raise Refusal(f"An invoice has at most {MAX_LINES} line items.", param="lines")
    for place, line in enumerate(given):
        not_simulated = set(line) - LINE
        if not_simulated:
            raise Refusal(f"This stand-in does not carry out {sorted(not_simulated)}", param=f"lines[{place}]")
        amount = whole(line, "amount")
        if amount is None:
            raise Refusal("Missing amount", code="parameter_missing", param=f"lines[{place}][amount]")
        period: dict[str, Any] = line.get("period") or {}
        start, end = whole(period, "start") or now, whole(period, "end") or now
        if end < start:
            raise Refusal("The period ends before it starts", param=f"lines[{place}][period][end]")
        body["lines"].append(
            {
                "id": f"il_{uuid.uuid4().hex[:24]}",
                "object": "line_item",
                "amount": amount,
                "currency": body["currency"],
                "description": line.get("description"),
                "metadata": metadata(line),
                "period": {"start": start, "end": end},
            }
        )
    return await _saved(connection, body, "invoice.updated", now)


async def _finalize(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    require_params("InvoiceFinalizeInvoiceParams", values)
    body = await _draft(connection, request)
    if not body["lines"]:
        text = "Nothing to invoice: the invoice has no line items."
        raise Refusal(text, code="invoice_no_customer_line_items")
    total = _shown(body)["total"]
    if body["automatic_tax"] and any(line["amount"] < 0 for line in body["lines"]):
        raise Refusal("Negative amounts cannot be used with automatic tax", param="automatic_tax")
    body["status"] = "open" if total > 0 else "paid"
    # Unset, the printed date is the moment of finalization.
    body["effective_at"] = body["effective_at"] or now
    if body["days_until_due"] is not None and body["due_date"] is None:
        body["due_date"] = now + body["days_until_due"] * 86_400
    body["auto_advance"] = values.get("auto_advance") == "true"
    body["number"] = body["number"] or f"SBX-{body['id'][3:11].upper()}"
    shown = await _saved(connection, body, "invoice.finalized", now)
    if total <= 0:
        await stripe_events.note(connection, "invoice.paid", shown, now)
    return shown


async def _pay(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    require_params("InvoicePayParams", values, simulated=frozenset({"payment_method", "expand"}))
    body = await _locked(connection, request)
    if body["status"] not in ("open", "uncollectible"):
        raise Refusal("Only open invoices can be paid", code="invoice_not_editable")
    body["attempt_count"] += 1
    if values.get("payment_method") == DECLINED:
        await _saved(connection, body, "invoice.payment_failed", now)
        raise Refusal("Your card was declined.", code="card_declined", status=402)
    return await _saved(
        connection, {**body, "status": "paid", "amount_paid": _shown(body)["total"]}, "invoice.paid", now
    )


async def _give_up(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    body = await _locked(connection, request)
    if body["status"] != "open":
        raise Refusal("Only open invoices can be marked uncollectible", code="invoice_not_editable")
    return await _saved(connection, {**body, "status": "uncollectible"}, "invoice.marked_uncollectible", now)


async def _void(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    body = await _locked(connection, request)
    if body["status"] not in ("open", "uncollectible"):
        raise Refusal("Only open or uncollectible invoices can be voided", code="invoice_not_editable")
    return await _saved(connection, {**body, "status": "void"}, "invoice.voided", now)


async def _customer(connection: Connection, request: Request, values: dict[str, Any], now: int) -> Row:
    identifier = _existing_customer(request.path_params["id"])
    return {"id": identifier, "object": "customer", "created": now, "livemode": False, "metadata": {}}


def _existing_customer(identifier: str) -> str:
    if not identifier.startswith("cus_") or identifier.startswith("cus_missing"):
        text = f"No such customer: '{identifier}'"
        raise Refusal(text, code="resource_missing", param="customer")
    return identifier


async def _locked(connection: Connection, request: Request) -> Row:
    identifier = request.path_params["id"]
    query = "select body from sandbox.stripe_invoices where id = %s for update"
    row = await (await connection.execute(query, [identifier])).fetchone()
    if row is None:
        raise Refusal(f"No such invoice: '{identifier}'", code="resource_missing", param="invoice", status=404)
    return row["body"]


async def _draft(connection: Connection, request: Request) -> Row:
    body = await _locked(connection, request)
    if body["status"] != "draft":
        raise Refusal("Finalized invoices can't be updated in this way", code="invoice_not_editable")
    return body


async def _saved(connection: Connection, body: Row, kind: str, now: int) -> Row:
    """Keep the invoice and tell of it."""
    shown = _shown(body)
    # The totals are kept beside the lines, so that the list of effects shows what Stripe counts.
    kept = {**body, "total": shown["total"]}
    await connection.execute("update sandbox.stripe_invoices set body = %s where id = %s", [Jsonb(kept), body["id"]])
    await stripe_events.note(connection, kind, shown, now)
    return shown


def _shown(body: Row) -> Row:
    """The invoice as the API shows it: totals are sums of integers, ten lines inline."""
    lines = cast("list[Row]", body["lines"])
    totals = stripe_tax_rates.totals(
        sum(line["amount"] for line in lines), body["default_tax_rates"], is_automatic=body["automatic_tax"]
    )
    due = max(totals["total"], 0)
    page = page_of(lines[: INLINE_LINES + 1], INLINE_LINES, f"/v1/invoices/{body['id']}/lines")
    remaining = due - body["amount_paid"]
    tax = {"enabled": body["automatic_tax"]}
    return {**body, **totals, "automatic_tax": tax, "amount_due": due, "amount_remaining": remaining, "lines": page}
