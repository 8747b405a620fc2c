"""Which stored changes are told to webhook endpoints.

Owns one table from rows to events. The session itself notices what a flush is about to write, so no service can forget
to tell, and what jobs do by themselves is told as well. What begins and ends by the calendar is in `calendar.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from app.access.tables import AuditEntry
from app.contracts.tables import Contract, ContractEditRow, ThresholdRow
from app.core.grants import PaymentGate
from app.core.money import canonical
from app.delivery.tables import Delivery, MarketplaceSubscription
from app.grants.tables import GrantRow
from app.invoices.tables import Invoice, InvoiceRegeneration, InvoiceVoid
from app.notices.service import emit, identified, written

_BALANCES = {"PREPAID": "commit", "POSTPAID": "commit", "CREDIT": "credit"}
_OF_BALANCES = frozenset({"commit", "credit", "segment", "transfer", "recurring_grant"})
"""Kinds of entries in a contract's history that are changes of a balance, which tells of itself."""
_METERING = {"aws_marketplace": "aws", "azure_marketplace": "azure"}


def _notice(session: Session, _context: object, _instances: object) -> None:
    """Tell of what this flush is about to write."""
    for row in list(session.new):
        if type(row) in _NEW:
            _NEW[type(row)](session, row)
    for row in list(session.dirty):
        if type(row) in _CHANGED:
            _CHANGED[type(row)](session, row)


event.listen(Session, "before_flush", _notice)


def _became(row: Any, name: str) -> bool:
    """Whether a column of a stored row was given another value, which is not nothing."""
    history = inspect(row).attrs[name].history
    return bool(history.added) and history.added[0] is not None and list(history.added) != list(history.deleted)


def _invoice(session: Session, row: Invoice) -> None:
    _of_invoice(session, "invoice.finalized", row, {"status": "FINALIZED"}, at=row.created_at)
    if row.purchase_of is None:
        return
    grant = session.get_one(GrantRow, row.purchase_of)
    if grant.gate == PaymentGate.EXTERNAL:
        told = {**_gate_data(session, grant), **_invoice_data(row)}
        _of_grant(session, "payment_gate.external_initiate", grant, told, at=row.created_at)


def _void(session: Session, row: InvoiceVoid) -> None:
    invoice = session.get_one(Invoice, row.invoice_id)
    _of_invoice(session, "invoice.voided", invoice, {"status": "VOID", "reason": row.reason}, at=row.created_at)


def _regeneration(session: Session, row: InvoiceRegeneration) -> None:
    invoice = session.get_one(Invoice, row.invoice_id)
    more = {"status": "FINALIZED", "regeneratedFrom": identified(invoice=row.source_id)["invoiceId"]}
    _of_invoice(session, "invoice.regenerated", invoice, more, at=row.created_at)


def _invoice_data(row: Invoice) -> dict[str, Any]:
    return {
        **identified(invoice=row.id, customer=row.customer_id, contract=row.contract_id),
        "number": row.number, "invoiceType": row.type, "currency": row.currency, "total": canonical(row.total),
        "issuedAt": written(row.issued_at),
    }  # fmt: skip


def _of_invoice(session: Session, event_type: str, row: Invoice, more: Mapping[str, Any], *, at: Any) -> None:
    emit(
        session, event_type, {**_invoice_data(row), **more}, occurred_at=at, now=at, subject_id=row.id,
        customer_id=row.customer_id, contract_id=row.contract_id,
    )  # fmt: skip


def _contract(session: Session, row: Contract) -> None:
    _of_contract(session, "contract.create", row, at=row.created_at)


def _contract_changed(session: Session, row: Contract) -> None:
    if _became(row, "archived_at"):
        _of_contract(session, "contract.archive", row, at=row.archived_at)


def _contract_edit(session: Session, row: ContractEditRow) -> None:
    """The record of an edit; that of an archive, or of an edit of balances alone, says nothing more."""
    contract = session.get_one(Contract, row.contract_id)
    if contract.archived_at is None and any(change["kind"] not in _OF_BALANCES for change in row.changes):
        _of_contract(session, "contract.edit", contract, at=row.created_at)


def _of_contract(session: Session, event_type: str, row: Contract, *, at: Any) -> None:
    emit(
        session, event_type, contract_data(row), occurred_at=at, now=at, subject_id=row.id,
        customer_id=row.customer_id, contract_id=row.id,
    )  # fmt: skip


def contract_data(row: Contract) -> dict[str, Any]:
    """What an event of a contract says."""
    return {
        **identified(contract=row.id, customer=row.customer_id),
        "startingAt": written(row.starting_at), "endingBefore": written(row.ending_before),
    }  # fmt: skip


def _grant(session: Session, row: GrantRow) -> None:
    _of_grant(session, f"{_BALANCES[row.type]}.create", row, grant_data(row), at=row.created_at)
    if row.threshold_id is not None:
        told = _gate_data(session, row)
        _of_grant(session, "payment_gate.threshold_reached", row, told, at=row.created_at)


def _grant_changed(session: Session, row: GrantRow) -> None:
    if _became(row, "archived_at"):
        _of_grant(session, f"{_BALANCES[row.type]}.archive", row, grant_data(row), at=row.archived_at)
    if _became(row, "gate_outcome"):
        told = {**_gate_data(session, row), "paymentStatus": row.gate_outcome, "reason": row.gate_reason}
        _of_grant(session, "payment_gate.payment_status", row, told, at=row.gate_settled_at)


def _audited(session: Session, row: AuditEntry) -> None:
    """An edit of a balance has no record of its own but the audit log's, which every door writes."""
    is_edit = row.outcome == "ok" and row.object_kind in _BALANCES.values() and row.before is not None
    grant = session.get(GrantRow, row.object_id) if is_edit and row.object_id is not None else None
    if grant is not None and grant.archived_at is None:
        _of_grant(session, f"{_BALANCES[grant.type]}.edit", grant, grant_data(grant), at=row.created_at)


def _of_grant(session: Session, event_type: str, row: GrantRow, data: Mapping[str, Any], *, at: Any) -> None:
    emit(
        session, event_type, data, occurred_at=at, now=at, subject_id=row.id, customer_id=row.customer_id,
        contract_id=row.contract_id,
    )  # fmt: skip


def grant_data(row: GrantRow) -> dict[str, Any]:
    """What an event of a commit or credit says."""
    kind = _BALANCES[row.type]
    parent = identified(recurring_grant=row.recurring_id)["recurring_grantId"]
    return {
        **identified(**{kind: row.id}, customer=row.customer_id, contract=row.contract_id),
        f"parentRecurring{kind.capitalize()}Id": parent,
    }  # fmt: skip


def _gate_data(session: Session, row: GrantRow) -> dict[str, Any]:
    """What is paid for; the id of the commit is that of the payment (decision 42)."""
    threshold = None if row.threshold_id is None else session.get_one(ThresholdRow, row.threshold_id)
    return {
        **identified(commit=row.id, customer=row.customer_id, contract=row.contract_id or row.invoice_contract_id),
        "workflowId": identified(commit=row.id)["commitId"],
        "workflowType": "COMMIT" if threshold is None else threshold.kind,
    }  # fmt: skip


def _delivery(session: Session, row: Delivery) -> None:
    if row.status in _STATES:
        _of_delivery(session, row)


def _delivery_changed(session: Session, row: Delivery) -> None:
    if row.status in _STATES and _became(row, "status"):
        _of_delivery(session, row)


_STATES = {
    "DELIVERED": "delivery.delivered",
    "FAILED": "delivery.failed",
    "NEEDS_ATTENTION": "delivery.needs_attention",
    "SKIPPED": "delivery.skipped",
    "CANCELED": "delivery.canceled",
}


def _of_delivery(session: Session, row: Delivery) -> None:
    told = {
        **identified(delivery=row.id, invoice=row.invoice_id, customer=row.customer_id),
        "provider": row.provider, "connection": row.connection, "status": row.status,
        "currency": row.currency, "total": canonical(row.total), "errorCode": row.error_code,
    }  # fmt: skip
    types = [_STATES[row.status]]
    if row.status == "NEEDS_ATTENTION":
        types.append("invoice.billing_provider_error")
    for event_type in types:
        emit(
            session, event_type, told, occurred_at=row.updated_at, now=row.updated_at, subject_id=row.id,
            customer_id=row.customer_id,
        )  # fmt: skip


def _subscription_changed(session: Session, row: MarketplaceSubscription) -> None:
    if row.provider in _METERING and row.state in ("SUSPENDED", "ENDED") and _became(row, "state"):
        told = {
            **identified(marketplace_subscription=row.id, customer=row.customer_id),
            "connection": row.connection, "state": row.state,
        }  # fmt: skip
        told["subscriptionId"] = told.pop("marketplace_subscriptionId")
        emit(
            session, f"marketplaces.{_METERING[row.provider]}_metering_disabled", told, occurred_at=row.updated_at,
            now=row.updated_at, subject_id=row.id, customer_id=row.customer_id,
        )  # fmt: skip


_NEW: Mapping[type, Callable[[Session, Any], None]] = {
    Invoice: _invoice,
    InvoiceVoid: _void,
    InvoiceRegeneration: _regeneration,
    Contract: _contract,
    ContractEditRow: _contract_edit,
    GrantRow: _grant,
    AuditEntry: _audited,
    Delivery: _delivery,
}
_CHANGED: Mapping[type, Callable[[Session, Any], None]] = {
    Contract: _contract_changed,
    GrantRow: _grant_changed,
    Delivery: _delivery_changed,
    MarketplaceSubscription: _subscription_changed,
}
