"""What a person may do to a delivery that does not get through: try it again, or give it up.

Owns the two decisions and what each of them needs to be safe. A machine never takes them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import and_, col, func, or_, select

from app.change import note_change
from app.checks import Path, text_of
from app.delivery import registry, requests
from app.delivery.states import (
    CREDIT_NEEDED,
    CREDITED,
    MAY_BE_GIVEN_UP,
    NO_EFFECT,
    VOIDED_AT_PROVIDER,
    DeliveryStatus,
)
from app.delivery.tables import Delivery, DeliveryAttempt, DeliveryReceipt
from app.errors import ErrorCode, InvalidState, NotFound
from app.invoices import service, tables
from app.jobs.service import enqueue
from app.providers import ProviderDirectory
from app.store.ids import to_text
from app.store.locks import lock_customer

SYNC_JOB = "delivery.sync"
MAX_REASON = 500
RETRYABLE = (DeliveryStatus.NEEDS_ATTENTION, DeliveryStatus.FAILED)
NOTHING_BILLED = ("TERMINAL", "REFUSED")
"""Receipts of attempts that billed nothing, at most left a draft; so does a TRANSIENT one without an unknown effect."""


async def retry(session: AsyncSession, directory: ProviderDirectory, delivery_id: UUID, *, now: datetime) -> Delivery:
    """Open a delivery again that failed or waits for a person, and enqueue it.

    The document stays the one that was frozen with the first try. Errors: `NotFound`, ILLEGAL_TRANSITION.
    """
    delivery = await _locked(session, delivery_id)
    if delivery.status not in RETRYABLE:
        raise _illegal(delivery, "only one that FAILED or NEEDS_ATTENTION is tried again")
    before = _shown(delivery)
    connection = directory.find(delivery.connection) if isinstance(directory, registry.Connections) else None
    if connection is not None:
        # Unknown when the delivery was opened without its connection.
        delivery.mode = await requests.mode_of_delivery(session, connection, delivery)
    if delivery.error_code == VOIDED_AT_PROVIDER:
        # It is there no more. What is made now is another object, of which nothing has been heard.
        delivery.delivered_at = None
    # What was wrong with the last try decides nothing about the next one (`voids.py`, `cancel`).
    delivery.error_code = delivery.error_message = delivery.error_hint = None
    delivery.status, delivery.next_attempt_at, delivery.updated_at = DeliveryStatus.PENDING, now, now
    await session.flush()
    await enqueue(session, service.DELIVERIES_JOB, once=service.DELIVERIES_JOB)
    note_change(session, "delivery", delivery.id, before=before, after=_shown(delivery))
    return delivery


async def cancel(session: AsyncSession, delivery_id: UUID, *, reason: str, now: datetime) -> Delivery:
    """Give a delivery up, while it is certain that the provider has billed nothing of it.

    So it is when somebody took it back there, or has given a credit for it; of a void invoice that needs attention the
    person says so. Errors: `NotFound`, REQUIRED, ILLEGAL_TRANSITION when it is closed, metered, or may have been sent.
    """
    reason = text_of(reason.strip(), path=("reason",), longest=MAX_REASON)
    delivery = await _locked(session, delivery_id)
    if delivery.status in (DeliveryStatus.DELIVERED, DeliveryStatus.SKIPPED, DeliveryStatus.CANCELED):
        raise _illegal(delivery, "it is closed")
    if delivery.mode == "metering":
        raise _illegal(delivery, "a marketplace is sent hours, not invoices; they go on as long as something is owed")
    if not await _is_decided(session, delivery) and await may_be_there(session, delivery):
        raise _illegal(delivery, "an attempt may have reached the provider; retry it, or void the invoice first")
    before = _shown(delivery)
    delivery.status, delivery.next_attempt_at, delivery.updated_at = DeliveryStatus.CANCELED, None, now
    code = CREDITED if delivery.error_code == CREDIT_NEEDED else "CANCELED"
    delivery.error_code, delivery.error_message, delivery.error_hint = code, reason, None
    await session.flush()
    note_change(session, "delivery", delivery.id, before=before, after={**_shown(delivery), "reason": reason})
    return delivery


async def get_delivery(session: AsyncSession, delivery_id: UUID, *, path: Path = ("id",)) -> Delivery:
    """The delivery; `NotFound` when there is none."""
    delivery = await session.get(Delivery, delivery_id)
    if delivery is None:
        raise NotFound("Delivery", to_text("delivery", delivery_id), path=path)
    return delivery


async def _locked(session: AsyncSession, delivery_id: UUID) -> Delivery:
    delivery = await get_delivery(session, delivery_id)
    await lock_customer(session, delivery.customer_id)
    await session.refresh(delivery, with_for_update=True)
    return delivery


async def _is_decided(session: AsyncSession, delivery: Delivery) -> bool:
    """Whether nothing but the person's word is missing: it was taken back there, credited, or is void here."""
    if delivery.status != DeliveryStatus.NEEDS_ATTENTION:
        return False
    return (
        delivery.error_code in MAY_BE_GIVEN_UP or await session.get(tables.InvoiceVoid, delivery.invoice_id) is not None
    )


async def may_be_there(session: AsyncSession, delivery: Delivery) -> bool:
    """Whether some attempt has no receipt that proves it billed nothing."""
    harmless = await session.execute(
        select(func.count(col(DeliveryReceipt.id)))
        .join(DeliveryAttempt, col(DeliveryReceipt.attempt_id) == DeliveryAttempt.id)
        .where(
            DeliveryAttempt.delivery_id == delivery.id,
            or_(
                col(DeliveryReceipt.outcome).in_(NOTHING_BILLED),
                and_(col(DeliveryReceipt.outcome) == "TRANSIENT", col(DeliveryReceipt.code) == NO_EFFECT),
            ),
        )
    )
    return harmless.scalar_one() < delivery.attempts


def _illegal(delivery: Delivery, why: str) -> InvalidState:
    return InvalidState(
        ErrorCode.ILLEGAL_TRANSITION, f"The delivery is {delivery.status}: {why}.", path=("id",), conflicting=delivery
    )


def _shown(delivery: Delivery) -> dict[str, object]:
    return {"status": delivery.status, "attempts": delivery.attempts, "mode": delivery.mode}
