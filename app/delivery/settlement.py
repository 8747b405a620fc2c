"""Applies what a marketplace acknowledged to the invoices it is owed for.

Owns the state of a metered invoice: covered is DELIVERED, and one that cannot be covered while a slot waits for a
person says so itself. Slots and invoices are counted apart, because a slot carries an hour and not an invoice.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.core.money import ZERO
from app.customers.tables import BillingConfiguration
from app.delivery.metering_standing import why_not_metered
from app.delivery.states import RESOLVED, DeliveryStatus, SlotStatus
from app.delivery.tables import Delivery, MeteringSlot
from app.invoices.tables import IS_VOID, Invoice
from app.store.locks import lock_customer


async def settle(session: AsyncSession, configuration_id: UUID, *, now: datetime) -> int:
    """Apply what was acknowledged to the invoices of its configuration, in order of due time.

    Returns how many invoices became delivered. Repeated without news it changes nothing.
    """
    configuration = await session.get_one(BillingConfiguration, configuration_id)
    await lock_customer(session, configuration.customer_id)
    left = await _acknowledged(session, configuration_id)
    trouble = await _trouble(session, configuration_id, now=now)
    found = await session.execute(
        select(Delivery)
        .join(Invoice, col(Delivery.invoice_id) == Invoice.id)
        .where(
            Delivery.billing_configuration_id == configuration_id,
            Delivery.mode == "metering",
            # Nothing is owed for a void invoice (`owing.py`); what it had is there for the others.
            ~IS_VOID,
        )
        .order_by(col(Invoice.due_at), col(Invoice.id))
        .execution_options(populate_existing=True)
    )
    delivered = 0
    for delivery in found.scalars().all():
        if delivery.status in (DeliveryStatus.SKIPPED, DeliveryStatus.CANCELED):
            continue
        # A marketplace is never sent less than nothing: a credit is covered by sending less afterwards.
        part = max(ZERO, min(left, delivery.total)) if delivery.total > 0 else delivery.total
        left -= part
        delivered += _settled(delivery, part, trouble, now=now)
    return delivered


def _settled(
    delivery: Delivery, part: Decimal, trouble: tuple[str | None, str | None, str | None] | None, *, now: datetime
) -> bool:
    """Move one delivery to where it stands; True when it became delivered."""
    before = _shown(delivery)
    was_delivered = delivery.status == DeliveryStatus.DELIVERED
    delivery.acknowledged = part
    is_covered = part == delivery.total
    if is_covered and not was_delivered:
        delivery.status, delivery.delivered_at, delivery.next_attempt_at = DeliveryStatus.DELIVERED, now, None
        delivery.error_code = delivery.error_message = delivery.error_hint = None
    elif not is_covered and not was_delivered:
        delivery.status = DeliveryStatus.PENDING if trouble is None else DeliveryStatus.NEEDS_ATTENTION
        delivery.error_code, delivery.error_message, delivery.error_hint = trouble or (None, None, None)
    if _shown(delivery) != before:
        delivery.updated_at = now
    return is_covered and not was_delivered


def _shown(delivery: Delivery) -> tuple[object, ...]:
    return delivery.acknowledged, delivery.status, delivery.error_code, delivery.error_message, delivery.error_hint


async def _acknowledged(session: AsyncSession, configuration_id: UUID) -> Decimal:
    found = await session.execute(
        select(func.coalesce(func.sum(col(MeteringSlot.quantity) * MeteringSlot.unit_price), 0)).where(
            MeteringSlot.billing_configuration_id == configuration_id, MeteringSlot.status == SlotStatus.ACCEPTED
        )
    )
    return Decimal(found.scalar_one())


async def _trouble(
    session: AsyncSession, configuration_id: UUID, *, now: datetime
) -> tuple[str | None, str | None, str | None] | None:
    """Code, words and hint of what keeps invoices from being covered: a slot that waits for a person, a subscription
    that takes no usage, or a last slot that was refused."""
    slots = (
        select(MeteringSlot)
        .where(MeteringSlot.billing_configuration_id == configuration_id)
        .order_by(col(MeteringSlot.hour).desc(), col(MeteringSlot.id).desc())
        .limit(1)
    )
    waiting = (
        await session.execute(slots.where(MeteringSlot.status == SlotStatus.NEEDS_ATTENTION))
    ).scalar_one_or_none()
    if waiting is not None:
        return waiting.error_code, waiting.error_message, waiting.error_hint
    closed = await why_not_metered(session, configuration_id, now=now)
    if closed is not None:
        return closed
    last = (await session.execute(slots)).scalar_one_or_none()
    if last is None or last.status != SlotStatus.REFUSED or last.attempts == 0 or last.error_code == RESOLVED:
        return None
    return last.error_code, last.error_message, last.error_hint
