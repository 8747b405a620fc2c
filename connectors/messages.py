"""What the `custom` connectors send: one JSON message for an invoice, a void or an hour of usage.

Owns the shape (`schemaVersion` 1, below) and the id of each message. A message says the same bytes however often it is
sent, and its id is the same too: whoever receives it keeps the first of each id.

All messages: `schemaVersion`, `messageId`, `type`, `customer` (the customer's side of the billing configuration).
`invoice.finalized`: `invoice` with `id number contractId currency total issuedAt servicePeriod date lines`.
`invoice.voided`: `invoice` with `id`.
`metering.delta`: `usage` with `id dimension hour quantity unitPrice currency`; the quantity is what came new.
Amounts are texts in the major unit, instants are UTC with a Z; what an invoice does not have is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.core.money import canonical
from connectors.base import DocumentLine, InvoiceDocument, Receipt, UsageRecord

SCHEMA_VERSION = "1"
VOIDED = ":voided"
"""What is added to an invoice's id in the id of the message that it is void."""


def invoice_message(document: InvoiceDocument) -> tuple[str, bytes]:
    """The id and the bytes of the message that an invoice is final; the id is the invoice's own."""
    period = None
    if document.service_starting_at is not None:
        ending_before = _instant(document.service_ending_before)
        period = {"startingAt": _instant(document.service_starting_at), "endingBefore": ending_before}
    invoice = {
        "id": document.reference,
        "number": document.number,
        "contractId": document.contract,
        "currency": document.currency,
        "total": canonical(document.total),
        "issuedAt": _instant(document.issued_at),
        "servicePeriod": period,
        "date": _instant(document.date),
        "lines": [_line(line) for line in document.lines],
    }
    return document.reference, _message(document.reference, "invoice.finalized", document.customer, invoice=invoice)


def void_message(receipt: Receipt) -> tuple[str, bytes]:
    """The id and the bytes of the message that an invoice is void."""
    message_id = f"{receipt.reference}{VOIDED}"
    return message_id, _message(message_id, "invoice.voided", {}, invoice={"id": receipt.reference})


def usage_message(record: UsageRecord, *, unit_price: Decimal, currency: str) -> tuple[str, bytes]:
    """The id and the bytes of the message of one hour; the id is the slot's."""
    usage = {
        "id": record.reference,
        "dimension": record.dimension,
        "hour": _instant(record.hour),
        "quantity": canonical(record.quantity),
        "unitPrice": canonical(unit_price),
        "currency": currency,
    }
    return record.reference, _message(record.reference, "metering.delta", record.customer, usage=usage)


def _message(message_id: str, kind: str, customer: Mapping[str, str], **content: Any) -> bytes:
    message = {"schemaVersion": SCHEMA_VERSION, "messageId": message_id, "type": kind, "customer": dict(customer)}
    return json.dumps({**message, **content}, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _line(line: DocumentLine) -> dict[str, Any]:
    return {
        "description": line.description,
        "amount": canonical(line.amount),
        "quantity": None if line.quantity is None else canonical(line.quantity),
        "unitPrice": None if line.unit_price is None else canonical(line.unit_price),
        "startingAt": _instant(line.starting_at),
        "endingBefore": _instant(line.ending_before),
        "metadata": dict(line.metadata),
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
