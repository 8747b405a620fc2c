"""From a delivery and what its provider showed last to our words for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.delivery.standing import external_status, payment_status
from app.delivery.tables import Delivery, ExternalInvoiceState

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delivery", "word", "seen", "status", "payment"),
    [
        ("PENDING", None, None, "QUEUED", "NOT_SENT"),
        ("SENDING", None, None, "QUEUED", "NOT_SENT"),
        ("FAILED", None, None, "QUEUED", "NOT_SENT"),
        ("NEEDS_ATTENTION", None, None, "INVALID_REQUEST_ERROR", "NOT_SENT"),
        ("SKIPPED", None, None, "SKIPPED", "NOT_SENT"),
        ("CANCELED", None, None, None, "NOT_SENT"),
        ("DELIVERED", "draft", None, "DRAFT", "PENDING"),
        ("DELIVERED", "open", None, "FINALIZED", "PENDING"),
        ("DELIVERED", "open", {"payment": "OPEN", "due_at": NOW}, "FINALIZED", "PENDING"),
        ("DELIVERED", "open", {"payment": "OPEN", "due_at": NOW - timedelta(seconds=1)}, "FINALIZED", "OVERDUE"),
        ("DELIVERED", "open", {"payment": "FAILED"}, "PAYMENT_FAILED", "FAILED"),
        ("DELIVERED", "open", {"payment": "OPEN", "amount_paid": Decimal(5)}, "PARTIALLY_PAID", "PENDING"),
        ("DELIVERED", "paid", {"payment": "PAID"}, "PAID", "PAID"),
        ("DELIVERED", "uncollectible", {"payment": "FAILED"}, "UNCOLLECTIBLE", "UNCOLLECTIBLE"),
        ("NEEDS_ATTENTION", "void", {"payment": "FAILED"}, "VOID", "CANCELED"),
        ("NEEDS_ATTENTION", "deleted", {}, "DELETED", "CANCELED"),
        ("CANCELED", "void", None, "VOID", "CANCELED"),
        ("DELIVERED", "a word of its own", None, "SENT", "PENDING"),
        ("DELIVERED", "VALIDATING", None, "PENDING_APPROVAL", "PENDING"),
        ("DELIVERED", "PENDING_APPROVAL", {}, "PENDING_APPROVAL", "PENDING"),
        ("DELIVERED", "APPROVED", {}, "APPROVED", None),
        ("NEEDS_ATTENTION", "REJECTED", {}, "REJECTED", "CANCELED"),
        ("NEEDS_ATTENTION", "VALIDATION_FAILED", {}, "INVALID_REQUEST_ERROR", "CANCELED"),
        ("CANCELED", "CANCELLED", None, "VOID", "CANCELED"),
    ],
)
def test_the_words(
    delivery: str, word: str | None, seen: dict[str, Any] | None, status: str | None, payment: str | None
) -> None:
    row = Delivery(status=delivery, provider_status=word, mode="invoice")
    state = None if seen is None else ExternalInvoiceState(**seen)
    assert external_status(row, state) == status
    assert payment_status(row, state, now=NOW) == payment


def test_a_marketplace_tells_of_no_payment_and_nobody_collects_what_has_no_delivery() -> None:
    row = Delivery(status="DELIVERED", provider_status=None, mode="metering")
    assert (external_status(row, None), payment_status(row, None, now=NOW)) == ("SENT", None)
    assert payment_status(None, None, now=NOW) == "NOT_SENT"
