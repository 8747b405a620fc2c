"""What becomes of the delivery of an invoice that was voided: it is called off, or taken back at the provider.

Owns that decision. The row of the void is the intent, committed before any call; taking back twice is harmless at every
provider that can do it, so a kill at any step is, too. What a marketplace has counted cannot be taken back: the void
makes less be owed, and less is sent afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.core.money import ZERO
from app.delivery import actions, calling, turns
from app.delivery.registry import Connection, Connections
from app.delivery.states import GONE_AT_PROVIDER, VOIDED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import ConnectionPause, Delivery, DeliveryAttempt
from app.invoices.tables import InvoiceVoid
from app.store.engine import Store
from app.store.ids import to_text
from app.store.locks import hold
from connectors.base import Outcome, ProviderEntry, Receipt, Terminal, Transient, document_from_json

WAIT = timedelta(minutes=10)
CALLED_OFF = "INVOICE_VOID"


async def settle_voids(store: Store, connections: Connections, *, clock: Callable[[], datetime]) -> int:
    """Call off or take back the deliveries of void invoices; returns how many were decided."""
    async with store.transaction() as session:
        waiting = [
            (delivery_id, name, await turns.turn_of(session, connections, configuration_id))
            for delivery_id, name, configuration_id in await _waiting(session, now=clock())
        ]
    done = 0
    silent = set[str]()
    for delivery_id, name, turn in waiting:
        if name in silent:
            continue
        async with hold(store, turn) as is_ours:
            # Who holds it may be sending this very invoice; the next sweep comes back to it.
            decided = is_ours and await _settle(store, connections, delivery_id, clock=clock)
        if decided is None:
            silent.add(name)
        done += bool(decided)
    return done


async def _waiting(session: AsyncSession, *, now: datetime) -> list[tuple[UUID, str, UUID]]:
    """Deliveries of void invoices that are not closed, or that are to be taken back; with accounts and configurations."""
    found = await session.execute(
        select(Delivery.id, Delivery.connection, Delivery.billing_configuration_id)
        .join(InvoiceVoid, col(InvoiceVoid.invoice_id) == Delivery.invoice_id)
        .where(
            col(Delivery.status).not_in((DeliveryStatus.CANCELED, DeliveryStatus.SKIPPED)),
            # A person was asked to look before, and this void is the answer; who is asked because of the void is left alone,
            # unless what they were asked for is the void, or concerns hours and no invoice.
            or_(
                col(Delivery.status) != DeliveryStatus.NEEDS_ATTENTION,
                col(Delivery.updated_at) < InvoiceVoid.created_at,
                Delivery.error_code == VOIDED_AT_PROVIDER,
                col(Delivery.mode) == "metering",
            ),
            or_(
                col(Delivery.status) != DeliveryStatus.DELIVERED,
                col(InvoiceVoid.in_provider),
                col(Delivery.mode) != "invoice",
            ),
            or_(
                col(Delivery.status) != DeliveryStatus.FAILED,
                col(Delivery.next_attempt_at).is_(None),
                col(Delivery.next_attempt_at) <= now,
            ),
        )
        .order_by(col(Delivery.created_at), col(Delivery.id))
    )
    return [(row[0], row[1], row[2]) for row in found]


async def _settle(
    store: Store, connections: Connections, delivery_id: UUID, *, clock: Callable[[], datetime]
) -> bool | None:
    """Whether it was decided; None when the account did not answer."""
    async with store.transaction() as session:
        delivery = await session.get_one(Delivery, delivery_id, with_for_update=True)
        void = await session.get_one(InvoiceVoid, delivery.invoice_id)
        delivered = delivery.status == DeliveryStatus.DELIVERED
        if delivery.error_code == VOIDED_AT_PROVIDER:
            _close(delivery, void, now=clock())
            return True
        if delivery.mode != "invoice" or (not delivered and not await actions.may_be_there(session, delivery)):
            _close(delivery, void, now=clock())
            return True
        if await session.get(ConnectionPause, delivery.connection) is not None:
            return False
        connection = connections.find(delivery.connection)
        attempts = await session.execute(
            select(DeliveryAttempt)
            .where(DeliveryAttempt.delivery_id == delivery_id)
            .order_by(col(DeliveryAttempt.number).desc())
            .limit(1)
        )
        last = attempts.scalar_one_or_none()
        if connection is None or last is None:
            _attend(delivery, "NO_CONNECTION", "No connection is configured that could be asked.", now=clock())
            return True
    answer = await _ask(connection, delivery, last, in_provider=void.in_provider)
    async with store.transaction() as session:
        delivery = await session.get_one(Delivery, delivery_id, with_for_update=True)
        match answer:
            case Transient():
                delivery.status, delivery.next_attempt_at = DeliveryStatus.FAILED, clock() + (answer.wait or WAIT)
                delivery.error_code, delivery.error_message = "TRANSIENT", answer.message
                delivery.updated_at = clock()
            case Terminal():
                _attend(delivery, answer.code, answer.message, hint=answer.hint or None, now=clock())
            case Outcome() | None:
                _close(delivery, void, now=clock())
                if answer is not None:
                    delivery.provider_reference = answer.provider_reference or delivery.provider_reference
                    delivery.provider_status = answer.provider_status or delivery.provider_status
    return None if isinstance(answer, Transient) else True


async def _ask(
    connection: Connection, delivery: Delivery, last: DeliveryAttempt, *, in_provider: bool
) -> Outcome | Transient | Terminal | None:
    """Take back what is at the provider; None when nothing is there."""
    reference = delivery.provider_reference
    if delivery.delivered_at is None or reference is None:
        # What is known of it may be an older object that was replaced there.
        found = await calling.look_up(connection, document_from_json(last.document))
        if found is None or isinstance(found, Transient | Terminal):
            return found
        reference = found.provider_reference
    if reference is None:
        return None
    if not in_provider:
        shown = await calling.read_back(connection, reference)
        if isinstance(shown, ProviderEntry) and shown.provider_status in GONE_AT_PROVIDER:
            return None
        return Terminal(
            CALLED_OFF, "The invoice was voided while it was on its way, and reached the provider.",
            hint=f"Void {reference} at the provider, then cancel the delivery.",
        )  # fmt: skip
    return await calling.take_back(
        connection, Receipt(reference=to_text("invoice", delivery.invoice_id), provider_reference=reference)
    )


def _close(delivery: Delivery, void: InvoiceVoid, *, now: datetime) -> None:
    delivery.status, delivery.next_attempt_at, delivery.updated_at = DeliveryStatus.CANCELED, None, now
    delivery.acknowledged = ZERO
    delivery.error_code, delivery.error_message, delivery.error_hint = CALLED_OFF, void.reason, None


def _attend(delivery: Delivery, code: str, message: str, *, hint: str | None = None, now: datetime) -> None:
    delivery.status, delivery.next_attempt_at, delivery.updated_at = DeliveryStatus.NEEDS_ATTENTION, None, now
    delivery.error_code, delivery.error_message, delivery.error_hint = code, message, hint
