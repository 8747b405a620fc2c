"""An invoice as CSV: one row a line, exact decimals, every row whole so that files can be put together.

Owns the columns, which are only ever added at the end, and that no text becomes a formula in a spreadsheet.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

from app.core.lines import Line
from app.core.money import canonical
from app.invoices.document_facts import DocumentFacts
from app.store.ids import to_text

COLUMNS = (
    "invoice_id", "invoice_number", "status", "invoice_type", "customer", "contract", "period_starting_at",
    "period_ending_before", "issued_at", "payment_due_at", "position", "type", "product", "pricing", "presentation", "tier",
    "starting_at", "ending_before", "charged_at", "quantity", "unit_price", "amount", "unit", "in_total", "balance",
    "invoice_currency", "invoice_total", "origin_invoice_id", "origin_customer", "origin_contract", "per_event",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(facts: DocumentFacts) -> bytes:
    """UTF-8 with a header line, RFC 4180."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    head = (
        to_text("invoice", facts.id), facts.number or "", facts.status, facts.type, _safe(facts.customer_name),
        _safe(facts.contract_name or ""), _instant(facts.starting_at), _instant(facts.ending_before),
        _instant(facts.issued_at), _instant(facts.payment_due_at),
    )  # fmt: skip
    tail = (facts.currency, canonical(facts.total))
    writer.writerows(
        (*head, place, *_cells(line, facts), *tail, *_origin(line, facts), line.per_event or "")
        for place, line in enumerate(facts.lines)
    )
    return out.getvalue().encode()


def _cells(line: Line, facts: DocumentFacts) -> tuple[str, ...]:
    balance = "" if line.grant_id is None else facts.balance_names.get(line.grant_id, str(line.grant_id))
    return (
        line.type, _safe(line.product_name or ""), _pairs(line.pricing), _pairs(line.presentation),
        "" if line.tier is None else str(line.tier.level), _instant(line.starting_at), _instant(line.ending_before),
        _instant(line.charged_at), _decimal(line.quantity), _decimal(line.unit_price), canonical(line.amount),
        _safe(line.unit), "true" if line.in_total else "false", _safe(balance),
    )  # fmt: skip


def _origin(line: Line, facts: DocumentFacts) -> tuple[str, str, str]:
    if line.origin is None:
        return "", "", ""
    origin = facts.origins[line.origin.invoice_id]
    return to_text("invoice", origin.invoice_id), _safe(origin.customer_name), _safe(origin.contract_name or "")


def _pairs(pairs: tuple[tuple[str, str | None], ...]) -> str:
    return _safe("; ".join(f"{key}={'' if value is None else value}" for key, value in pairs))


def _safe(text: str) -> str:
    """A text that no spreadsheet reads as a formula: those that begin like one get an apostrophe in front."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _decimal(value: Decimal | None) -> str:
    return "" if value is None else canonical(value)


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
