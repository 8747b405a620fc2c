"""What a notice of each type says, with made-up values: for trying out what receives them.

Owns the examples. Ids in them are those of no object; every notice that is made of one says `"test": true`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.alerts import DAYS, AlertType, Told, event_of, reading_name
from app.notices import kinds
from app.notices.service import identified, written

MADE_UP = UUID("00000000-0000-7000-8000-000000000001")
_HOLDER = identified(customer=MADE_UP, contract=MADE_UP)
_MONEY = {"currency": "USD", "total": "12.34"}
_STATES = {"delivered": "DELIVERED", "failed": "FAILED", "skipped": "SKIPPED", "canceled": "CANCELED"}
_ALERTS = {event_of(kind, told): kind for kind in AlertType for told in Told}


def sample_of(event_type: str, *, now: datetime) -> dict[str, Any]:
    """What a notice of a known type could say."""
    family, _, happened = event_type.partition(".")
    if event_type == kinds.TEST:
        return {"endpointId": identified(webhook_endpoint=MADE_UP)["webhook_endpointId"]}
    if family == "offset":
        offset_id = identified(offset_notice=MADE_UP)["offset_noticeId"]
        return sample_of(happened, now=now) | {"offsetId": offset_id, "offsetDuration": "P3D"}
    if family == "invoice" and happened != "billing_provider_error":
        return _invoice(now) | _INVOICES[happened]
    if family == "contract":
        return _HOLDER | {"startingAt": written(now), "endingBefore": written(now + timedelta(days=365))}
    if family in ("commit", "credit"):
        return _balance(family) | (_SEGMENT if happened.startswith("segment.") else {})
    if family == "payment_gate":
        return _gate(happened, now)
    if family == "marketplaces":
        subscription = identified(marketplace_subscription=MADE_UP)["marketplace_subscriptionId"]
        return {"subscriptionId": subscription, "connection": "main", "state": "ENDED", **identified(customer=MADE_UP)}
    if family == "job":
        return identified(job=MADE_UP)
    if family == "alerts":
        return _alert(_ALERTS[event_type], now)
    status = _STATES.get(happened, "NEEDS_ATTENTION")
    return {
        **identified(delivery=MADE_UP, invoice=MADE_UP, customer=MADE_UP), **_MONEY, "provider": "stripe",
        "connection": "main", "status": status, "errorCode": None if status == "DELIVERED" else "EXAMPLE",
    }  # fmt: skip


_INVOICES: dict[str, dict[str, Any]] = {
    "finalized": {"status": "FINALIZED"},
    "voided": {"status": "VOID", "reason": "An example."},
    "regenerated": {"status": "FINALIZED", "regeneratedFrom": identified(invoice=MADE_UP)["invoiceId"]},
}
_SEGMENT = {"segmentId": MADE_UP.hex, "segmentIndex": 0, "segmentCount": 1}


def _invoice(now: datetime) -> dict[str, Any]:
    named = {"number": "INV-000001", "invoiceType": "USAGE", "issuedAt": written(now)}
    return {**identified(invoice=MADE_UP), **_HOLDER, **named, **_MONEY}


def _balance(kind: str) -> dict[str, Any]:
    return {**identified(**{kind: MADE_UP}), **_HOLDER, f"parentRecurring{kind.capitalize()}Id": None}


def _gate(happened: str, now: datetime) -> dict[str, Any]:
    commit = identified(commit=MADE_UP)
    told = {**commit, **_HOLDER, "workflowId": commit["commitId"], "workflowType": "SPEND"}
    if happened == "payment_status":
        return told | {"paymentStatus": "PAID", "reason": None}
    return told | (_invoice(now) if happened == "external_initiate" else {})


def _alert(kind: AlertType, now: datetime) -> dict[str, Any]:
    told = {
        **identified(alert=MADE_UP, customer=MADE_UP), "alertName": "Example", "threshold": "10", "unit": "USD",
        "timestamp": written(now), "triggeredBy": None, "billableMetricId": None, reading_name(kind): "12.34",
    }  # fmt: skip
    if kind is AlertType.INVOICE_TOTAL_REACHED:
        return told | identified(invoice=MADE_UP)
    if kind in DAYS:
        return told | {"segment": MADE_UP.hex}
    return told | ({"seatId": "ada@example.com"} if "SEAT" in kind else {})
