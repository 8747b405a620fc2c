"""Stripe's credit notes: what is credited of an invoice after it was paid.

Owns the two routes' work. For a paid invoice the parts (refund, balance, outside) add up to the note, and all notes
together never exceed the invoice. Source: docs.stripe.com/api/credit_notes/create, November 2026.
"""

from __future__ import annotations

import uuid
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request

from connectors.sandbox import stripe_events
from connectors.sandbox.store import Connection, Row
from connectors.sandbox.stripe_form import Refusal, metadata, page_of, whole
from connectors.sandbox.stripe_params import require_params

CREATE = frozenset(
    {"invoice", "amount", "credit_amount", "refund_amount", "out_of_band_amount", "memo", "metadata", "reason",
     "email_type", "expand"}
)  # fmt: skip


async def create_note(connection: Connection, _: Request, values: dict[str, Any], now: int) -> Row:
    """Credit a finalized invoice."""
    require_params("CreditNoteCreateParams", values, simulated=CREATE)
    invoice = await _invoice(connection, values["invoice"])
    amount = whole(values, "amount") or 0
    if amount <= 0:
        raise Refusal("One of amount, lines, or shipping_cost must be provided", param="amount")
    given = await _notes(connection, invoice["id"])
    if amount + sum(note["amount"] for note in given) > invoice["total"]:
        raise Refusal("The credit notes would exceed the invoice's total", param="amount")
    parts = sum(whole(values, name) or 0 for name in ("credit_amount", "refund_amount", "out_of_band_amount"))
    if invoice["status"] == "paid" and parts != amount:
        raise Refusal("The sum of credit amount, refund amount and outside of Stripe amount must equal the total")
    note: Row = {
        "id": f"cn_{uuid.uuid4().hex[:24]}",
        "object": "credit_note",
        "amount": amount,
        "total": amount,
        "created": now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "invoice": invoice["id"],
        "livemode": False,
        "memo": values.get("memo"),
        "metadata": metadata(values),
        "out_of_band_amount": whole(values, "out_of_band_amount"),
        "status": "issued",
        "type": "post_payment" if invoice["status"] == "paid" else "pre_payment",
    }
    await connection.execute(
        "insert into sandbox.stripe_credit_notes (id, invoice, body) values (%s, %s, %s)",
        [note["id"], invoice["id"], Jsonb(note)],
    )
    await stripe_events.note(connection, "credit_note.created", note, now)
    return note


async def list_notes(connection: Connection, _: Request, values: dict[str, Any], now: int) -> Row:
    """The notes of an invoice, newest first."""
    simulated = frozenset({"invoice", "limit", "starting_after", "expand"})
    require_params("CreditNoteListParams", values, simulated=simulated)
    notes = (await _notes(connection, values.get("invoice")))[::-1]
    ids = [note["id"] for note in notes]
    after = values.get("starting_after")
    start = ids.index(after) + 1 if after in ids else 0
    limit = min(whole(values, "limit") or 10, 100)
    return page_of(notes[start : start + limit + 1], limit, "/v1/credit_notes")


async def _invoice(connection: Connection, identifier: str) -> Row:
    query = "select body from sandbox.stripe_invoices where id = %s for update"
    row = await (await connection.execute(query, [identifier])).fetchone()
    if row is None or row["body"]["status"] not in ("open", "paid", "uncollectible"):
        raise Refusal(f"No finalized invoice '{identifier}'", code="resource_missing", param="invoice", status=404)
    return row["body"]


async def _notes(connection: Connection, invoice: str | None) -> list[Row]:
    cursor = await connection.execute(
        "select body from sandbox.stripe_credit_notes where coalesce(%s::text, invoice) = invoice order by seq",
        [invoice],
    )
    return [row["body"] for row in await cursor.fetchall()]
