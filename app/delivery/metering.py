"""Hourly metering at marketplaces: what is owed, less what was sent, in whole units, one frozen slot an hour.

Owns the plan of slots and what becomes of them. A slot's quantity is decided once, under the customer's lock, and
committed before the provider hears of it; a slot without a proven answer counts as sent, so nothing is billed twice.
Money owed less money acknowledged is the only formula: late usage, outages and remainders ride on the next slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import and_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.contracts.tables import Contract
from app.core.money import ZERO, canonical, exact
from app.core.period import HOUR, floor_hour
from app.customers.tables import BillingConfiguration
from app.delivery.documents import metering_document
from app.delivery.registry import Connection, Connections
from app.delivery.states import CLOSED, DeliveryStatus, SlotStatus
from app.delivery.tables import Delivery, MeteringReceipt, MeteringSlot
from app.failpoints import reached
from app.invoices.drafts import open_statements, rate
from app.invoices.service import route_of
from app.invoices.tables import Invoice
from app.store.engine import Store
from app.store.ids import to_text
from app.store.locks import hold, lock_customer
from connectors.base import Capabilities, Outcome, OutcomeStatus, Terminal, Transient

REFUSAL_PAUSE = timedelta(hours=6)
"""How long a refused amount is not offered again: marketplaces ask not to be tried blindly."""


async def metered_configurations(session: AsyncSession, connections: Connections) -> list[BillingConfiguration]:
    """The billing configurations whose provider takes usage instead of invoices, by id."""
    found = await session.execute(
        select(BillingConfiguration)
        .where(col(BillingConfiguration.archived_at).is_(None))
        .order_by(col(BillingConfiguration.id))
    )
    return [row for row in found.scalars() if _metering(connections, row) is not None]


async def plan_slot(
    session: AsyncSession, connections: Connections, configuration_id: UUID, *, now: datetime
) -> MeteringSlot | None:
    """Plan the slot of the last full hour. None when nothing is owed, the slot is taken, or a refusal is fresh."""
    configuration = await session.get_one(BillingConfiguration, configuration_id)
    connection = _metering(connections, configuration)
    if connection is None:
        return None
    await lock_customer(session, configuration.customer_id)
    hour = floor_hour(now) - HOUR
    if await _is_held(session, configuration_id, connection.dimension, hour=hour, now=now):
        return None
    owed = await owed_through(session, configuration, now=now)
    with exact():
        units = owed // connection.unit_price - await _units_sent(session, configuration_id)
    if units <= 0:
        return None
    slot = MeteringSlot(
        created_at=now, updated_at=now, customer_id=configuration.customer_id,
        billing_configuration_id=configuration_id, provider=configuration.provider, connection=configuration.connection,
        dimension=connection.dimension, hour=hour, quantity=min(units, connection.capabilities.max_quantity or units),
        unit_price=connection.unit_price, currency="USD", owed=owed,
        record={"customer": configuration.settings}, status=SlotStatus.PENDING,
    )  # fmt: skip
    session.add(slot)
    await session.flush()
    return slot


async def owed_through(session: AsyncSession, configuration: BillingConfiguration, *, now: datetime) -> Decimal:
    """What the customer owes so far over the contracts routed here: finalized invoices, and drafts as they stand."""
    finalized = await session.execute(
        select(func.coalesce(func.sum(Invoice.total), 0)).where(
            Invoice.billing_configuration_id == configuration.id, Invoice.currency == "USD"
        )
    )
    owed = Decimal(finalized.scalar_one())
    contracts = await session.execute(
        select(Contract).where(Contract.customer_id == configuration.customer_id, Contract.currency == "USD")
    )
    routed = [row for row in contracts.scalars() if await route_of(session, row) == configuration.id]
    for statement in await open_statements(session, routed, now=now):
        owed += (await rate(session, statement)).draft.subtotal
    return owed


async def send_slots(store: Store, connections: Connections, name: str, *, clock: Callable[[], datetime]) -> int:
    """Send the planned slots of one connection, and again those whose answer was lost; returns how many were sent."""
    connection = connections.find(name)
    if connection is None or connection.capabilities.mode != "metering":
        return 0
    sent = 0
    async with hold(store, f"meter:{name}") as is_ours:
        if not is_ours:
            return 0
        async with store.transaction() as session:
            await _retire_late(session, connection, now=clock())
            waiting = await _open_slots(session, name)
        size = connection.capabilities.batch_size
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            async with store.transaction() as session:
                slots = [await session.get_one(MeteringSlot, slot_id) for slot_id in batch]
                for slot in slots:
                    slot.status, slot.attempts, slot.updated_at = SlotStatus.SENDING, slot.attempts + 1, clock()
                document = metering_document(slots)
            reached("metering.intent_committed")
            try:
                answers: Sequence[Outcome] | Transient | Terminal = await connection.connector.deliver(
                    document, f"slots:{to_text('metering_slot', batch[0])}"
                )
            except (Transient, Terminal) as failure:
                answers = failure
            reached("metering.called")
            async with store.transaction() as session:
                await _receive(session, batch, answers, now=clock())
            reached("metering.receipt_committed")
            sent += len(batch)
            if isinstance(answers, Transient | Terminal):
                break
    return sent


async def settle(session: AsyncSession, configuration_id: UUID, *, now: datetime) -> int:
    """Apply what a marketplace acknowledged to the invoices of its configuration, in order of due time.

    An invoice that is covered is delivered; returns how many became so.
    """
    configuration = await session.get_one(BillingConfiguration, configuration_id)
    await lock_customer(session, configuration.customer_id)
    left = await _acknowledged(session, configuration_id)
    found = await session.execute(
        select(Delivery, Invoice)
        .join(Invoice, col(Delivery.invoice_id) == Invoice.id)
        .where(Delivery.billing_configuration_id == configuration_id, Delivery.mode == "metering")
        .order_by(col(Invoice.due_at), col(Invoice.id))
    )
    delivered = 0
    for delivery, invoice in found:
        if delivery.status in (DeliveryStatus.SKIPPED, DeliveryStatus.CANCELED):
            continue
        part = max(ZERO, min(left, invoice.total)) if invoice.total > 0 else invoice.total
        left -= part
        if delivery.acknowledged != part:
            delivery.acknowledged, delivery.updated_at = part, now
        if part == invoice.total and delivery.status not in CLOSED:
            delivery.status, delivery.delivered_at, delivery.next_attempt_at = DeliveryStatus.DELIVERED, now, None
            delivery.updated_at = now
            delivered += 1
    return delivered


def is_past_window(capabilities: Capabilities, hour: datetime, *, now: datetime) -> bool:
    """Whether a provider takes usage of this hour no more (its window, and its cut-off after the month)."""
    if capabilities.window is not None and now - hour >= capabilities.window:
        return True
    if capabilities.month_cutoff_hour is None:
        return False
    next_month = (hour.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)
    return now >= next_month + timedelta(hours=capabilities.month_cutoff_hour)


def _metering(connections: Connections, configuration: BillingConfiguration) -> Connection | None:
    connection = connections.find(configuration.connection)
    return connection if connection is not None and connection.capabilities.mode == "metering" else None


async def _is_held(
    session: AsyncSession, configuration_id: UUID, dimension: str, *, hour: datetime, now: datetime
) -> bool:
    """The slot is used, or the provider refused one a short while ago."""
    found = await session.execute(
        select(MeteringSlot.id)
        .where(
            MeteringSlot.billing_configuration_id == configuration_id,
            or_(
                and_(col(MeteringSlot.dimension) == dimension, col(MeteringSlot.hour) >= hour),
                and_(
                    col(MeteringSlot.status) == SlotStatus.REFUSED,
                    col(MeteringSlot.attempts) > 0,
                    col(MeteringSlot.updated_at) > now - REFUSAL_PAUSE,
                ),
            ),
        )
        .limit(1)
    )
    return found.scalar_one_or_none() is not None


async def _units_sent(session: AsyncSession, configuration_id: UUID) -> Decimal:
    """Units in slots that are not proven refused."""
    found = await session.execute(
        select(func.coalesce(func.sum(MeteringSlot.quantity), 0)).where(
            MeteringSlot.billing_configuration_id == configuration_id, MeteringSlot.status != SlotStatus.REFUSED
        )
    )
    return Decimal(found.scalar_one())


async def _acknowledged(session: AsyncSession, configuration_id: UUID) -> Decimal:
    found = await session.execute(
        select(func.coalesce(func.sum(col(MeteringSlot.quantity) * MeteringSlot.unit_price), 0)).where(
            MeteringSlot.billing_configuration_id == configuration_id, MeteringSlot.status == SlotStatus.ACCEPTED
        )
    )
    return Decimal(found.scalar_one())


async def _open_slots(session: AsyncSession, name: str) -> list[UUID]:
    found = await session.execute(
        select(MeteringSlot.id)
        .where(MeteringSlot.connection == name, col(MeteringSlot.status).in_([SlotStatus.PENDING, SlotStatus.SENDING]))
        .order_by(col(MeteringSlot.hour), col(MeteringSlot.id))
    )
    return list(found.scalars())


async def _retire_late(session: AsyncSession, connection: Connection, *, now: datetime) -> None:
    """Slots past the provider's window: one that was never sent is owed again, one without an answer needs a person."""
    for slot_id in await _open_slots(session, connection.name):
        slot = await session.get_one(MeteringSlot, slot_id, with_for_update=True)
        if not is_past_window(connection.capabilities, slot.hour, now=now):
            continue
        slot.updated_at, slot.error_code = now, "OUT_OF_WINDOW"
        if slot.attempts == 0:
            slot.status = SlotStatus.REFUSED
            slot.error_message = "The hour passed before the slot could be sent; its amount rides on the next one."
        else:
            slot.status = SlotStatus.NEEDS_ATTENTION
            slot.error_message = "The provider's answer was lost and its window has passed."
            slot.error_hint = f"Look at the provider whether {canonical(slot.quantity)} units of it were counted."


async def _receive(
    session: AsyncSession, batch: Sequence[UUID], answers: Sequence[Outcome] | Transient | Terminal, *, now: datetime
) -> None:
    by_reference = {} if isinstance(answers, Transient | Terminal) else {item.reference: item for item in answers}
    for slot_id in batch:
        slot = await session.get_one(MeteringSlot, slot_id, with_for_update=True)
        slot.updated_at = now
        if isinstance(answers, Transient | Terminal):
            outcome = Outcome(
                reference="", status=OutcomeStatus.UNKNOWN, message=answers.message,
                code=answers.code if isinstance(answers, Terminal) else "TRANSIENT",
                hint=answers.hint or None if isinstance(answers, Terminal) else None,
            )  # fmt: skip
        else:
            outcome = by_reference[to_text("metering_slot", slot_id)]
        session.add(_receipt(slot, outcome, now=now))
        _apply(slot, outcome)


def _apply(slot: MeteringSlot, outcome: Outcome) -> None:
    slot.error_code, slot.error_message, slot.error_hint = outcome.code, (outcome.message or "")[:2000], outcome.hint
    match outcome.status:
        case OutcomeStatus.ACCEPTED | OutcomeStatus.DUPLICATE:
            slot.status = SlotStatus.ACCEPTED
            slot.error_code = slot.error_message = slot.error_hint = None
        case OutcomeStatus.REFUSED:
            # After an attempt whose answer was lost, a refusal proves nothing about that attempt: the agreement may have
            # ended, or the window closed, in between. Only a first refusal frees the amount to be sent again.
            slot.status = SlotStatus.REFUSED if slot.attempts == 1 else SlotStatus.NEEDS_ATTENTION
        case OutcomeStatus.COLLISION:
            slot.status = SlotStatus.NEEDS_ATTENTION
        case OutcomeStatus.UNKNOWN:
            pass  # stays SENDING, and is sent again unchanged


def _receipt(slot: MeteringSlot, outcome: Outcome, *, now: datetime) -> MeteringReceipt:
    return MeteringReceipt(
        created_at=now,
        slot_id=slot.id,
        outcome=outcome.status,
        acknowledged=outcome.acknowledged,
        provider_reference=outcome.provider_reference,
        code=outcome.code,
        message=(outcome.message or "")[:2000] or None,
        hint=outcome.hint,
        request_ids=list(outcome.request_ids),
    )
