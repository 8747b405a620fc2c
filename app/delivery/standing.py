"""Where an invoice stands outside: the states of semantics 6.8, and what became of its payment.

Owns the one table from a delivery and what its provider showed last to our words. It is read only; what happens at a
provider is taken in by `external.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from app.core.invoice import PaymentStatus
from app.delivery.states import GONE_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery, ExternalInvoiceState
from connectors.base import PaymentState


class ExternalStatus(StrEnum):
    """Where the provider's invoice stands."""

    QUEUED = "QUEUED"
    INVALID_REQUEST_ERROR = "INVALID_REQUEST_ERROR"
    SKIPPED = "SKIPPED"
    SENT = "SENT"
    DRAFT = "DRAFT"
    FINALIZED = "FINALIZED"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAID = "PAID"
    UNCOLLECTIBLE = "UNCOLLECTIBLE"
    VOID = "VOID"
    DELETED = "DELETED"
    PENDING_APPROVAL = "PENDING_APPROVAL"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


_WORDS = {
    "draft": ExternalStatus.DRAFT,
    "paid": ExternalStatus.PAID,
    "uncollectible": ExternalStatus.UNCOLLECTIBLE,
    "void": ExternalStatus.VOID,
    "deleted": ExternalStatus.DELETED,
    "VALIDATING": ExternalStatus.PENDING_APPROVAL,
    "PENDING_APPROVAL": ExternalStatus.PENDING_APPROVAL,
    "APPROVED": ExternalStatus.APPROVED,
    "REJECTED": ExternalStatus.REJECTED,
    "CANCELLED": ExternalStatus.VOID,
    "VALIDATION_FAILED": ExternalStatus.INVALID_REQUEST_ERROR,
}
_BEFORE = {
    DeliveryStatus.PENDING: ExternalStatus.QUEUED,
    DeliveryStatus.SENDING: ExternalStatus.QUEUED,
    DeliveryStatus.FAILED: ExternalStatus.QUEUED,
    DeliveryStatus.NEEDS_ATTENTION: ExternalStatus.INVALID_REQUEST_ERROR,
    DeliveryStatus.DELIVERED: ExternalStatus.SENT,
    DeliveryStatus.SKIPPED: ExternalStatus.SKIPPED,
}
"""While the provider has said nothing; one that was given up before stands nowhere."""


def external_status(delivery: Delivery, seen: ExternalInvoiceState | None) -> ExternalStatus | None:
    """Where the provider's invoice stands; None when it was given up before the provider had it."""
    word = delivery.provider_status
    if delivery.status == DeliveryStatus.SKIPPED or word is None or delivery.mode != "invoice":
        return _BEFORE.get(DeliveryStatus(delivery.status))
    if word != "open":
        return _WORDS.get(word, ExternalStatus.SENT)
    if seen is not None and Decimal(0) < (seen.amount_paid or Decimal(0)):
        return ExternalStatus.PARTIALLY_PAID
    is_failed = seen is not None and seen.payment == PaymentState.FAILED
    return ExternalStatus.PAYMENT_FAILED if is_failed else ExternalStatus.FINALIZED


def payment_status(
    delivery: Delivery | None, seen: ExternalInvoiceState | None, *, now: datetime
) -> PaymentStatus | None:
    """What became of the payment; None where the provider does not tell, as marketplaces do not."""
    if delivery is None or delivery.status == DeliveryStatus.SKIPPED:
        return PaymentStatus.NOT_SENT
    if delivery.mode != "invoice":
        return None
    match delivery.provider_status:
        case None:
            return PaymentStatus.NOT_SENT
        case "paid":
            return PaymentStatus.PAID
        case "uncollectible":
            return PaymentStatus.UNCOLLECTIBLE
        case "APPROVED":
            return None
        case word if word in GONE_AT_PROVIDER:
            return PaymentStatus.CANCELED
        case _ if seen is not None and seen.payment == PaymentState.FAILED:
            return PaymentStatus.FAILED
        case _ if seen is not None and seen.due_at is not None and seen.due_at < now:
            return PaymentStatus.OVERDUE
        case _:
            return PaymentStatus.PENDING


async def standings_of(
    session: AsyncSession, invoice_ids: Sequence[UUID]
) -> dict[UUID, tuple[Delivery, ExternalInvoiceState | None]]:
    """The delivery of each invoice with what its provider showed last, in one statement."""
    later = aliased(ExternalInvoiceState)
    found = await session.execute(
        select(Delivery, ExternalInvoiceState)
        .join(ExternalInvoiceState, col(ExternalInvoiceState.delivery_id) == Delivery.id, isouter=True)
        .where(
            col(Delivery.invoice_id).in_(invoice_ids),
            ~select(later.id)
            .where(later.delivery_id == Delivery.id, col(later.id) > col(ExternalInvoiceState.id))
            .exists(),
        )
    )
    return {delivery.invoice_id: (delivery, seen) for delivery, seen in found}
