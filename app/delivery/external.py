"""How our invoices stand at a provider that takes invoices: read back, kept, and acted on.

Owns what a notice about an invoice leads to. The provider is asked what the invoice is now, while nobody else is at this
billing configuration; so of a hundred notices in any order the last reading holds, and only a change has an effect.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app import actor, change, failpoints
from app.access import audit
from app.contracts.family import lock_family
from app.delivery import calling, gated, turns
from app.delivery.inbound import Handled, Later, NoticeState, Place, Subject, close
from app.delivery.states import GONE_AT_PROVIDER, VOIDED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery, ExternalInvoiceState, ProviderNotice
from app.invoices.tables import InvoiceVoid
from app.store import ids, locks
from connectors.base import ProviderEntry, Terminal, Transient

ACTION = "external_invoice.observe"


async def refresh(place: Place, subject: Subject) -> Handled:
    """Bring what we know of an invoice up to what its provider shows. One reading for all notices about it."""
    if subject.provider_reference is None:
        return NoticeState.IGNORED
    async with place.store.transaction() as session:
        target = await _delivery_of(session, subject)
    entry: ProviderEntry | None = None
    if target is None:
        if all(notice.is_foreign for notice in subject.notices):
            return NoticeState.IGNORED
        # A notice that names an invoice by its id alone, while the receipt that would tell us the id is not written.
        answer = await calling.read_back(subject.connection, subject.provider_reference)
        if not isinstance(answer, ProviderEntry):
            return _later(answer)
        entry = answer
        async with place.store.transaction() as session:
            target = await _delivery_by(session, subject, entry.reference)
    if target is None:
        return NoticeState.IGNORED
    delivery_id, configuration_id = target
    async with place.store.transaction() as session:
        turn = await turns.turn_of(session, place.connections, configuration_id)
    async with locks.hold(place.store, turn) as is_ours:
        if not is_ours:
            return Later("Somebody is at this customer.", "BUSY")
        return await _refreshed(place, subject, delivery_id)


async def _refreshed(place: Place, subject: Subject, delivery_id: UUID) -> Handled:
    async with place.store.transaction() as session:
        # Another worker may have handled them while we waited our turn.
        if not await _is_open(session, subject):
            return NoticeState.HANDLED
    assert subject.provider_reference is not None
    answer = await calling.read_back(subject.connection, subject.provider_reference)
    failpoints.reached("notices.read_back")
    if not isinstance(answer, ProviderEntry):
        return _later(answer)
    async with place.store.transaction() as session:
        await observe(session, delivery_id, answer, connection=subject.connection.name, now=place.clock())
        await close(session, subject, NoticeState.HANDLED, now=place.clock())
    failpoints.reached("notices.handled")
    return NoticeState.HANDLED


async def observe(
    session: AsyncSession, delivery_id: UUID, entry: ProviderEntry, *, connection: str, now: datetime
) -> bool:
    """Keep how an invoice stands at its provider and do what follows from it; False when that is known already.

    What follows: a commit that waits for the payment is released or fails, and an invoice that somebody voided or deleted
    at the provider alone needs attention. The caller holds the billing configuration.
    """
    delivery = await session.get_one(Delivery, delivery_id)
    # A payment that failed voids an invoice, which takes the locks of the parents' customers as well, in one order.
    await lock_family(session, delivery.customer_id)
    await session.refresh(delivery, with_for_update=True)
    last = await last_state(session, delivery_id)
    seen = ExternalInvoiceState(
        created_at=now, delivery_id=delivery_id, provider_reference=entry.provider_reference,
        provider_status=entry.provider_status, payment=entry.payment, amount=entry.amount, tax=entry.tax,
        amount_paid=entry.amount_paid, due_at=entry.due_at, message=entry.message, charge_reference=entry.charge,
    )  # fmt: skip
    if last is not None and _facts(last) == _facts(seen):
        return False
    teller = actor.system(connection, kind="provider")
    await gated.settle_by(session, delivery.invoice_id, entry, actor=teller, now=now)
    session.add(seen)
    before = {"status": delivery.status, **({} if last is None else _facts(last))}
    delivery.provider_status, delivery.updated_at = entry.provider_status, now
    delivery.provider_reference = delivery.provider_reference or entry.provider_reference
    if entry.provider_status in GONE_AT_PROVIDER and delivery.status == DeliveryStatus.DELIVERED:
        await _missed(session, delivery, entry)
    change.note_change(
        session, "delivery", delivery_id, before=before, after={"status": delivery.status, **_facts(seen)}
    )
    await audit.record(session, teller, action=ACTION, now=now, change=change.take_change(session))
    return True


async def last_state(session: AsyncSession, delivery_id: UUID) -> ExternalInvoiceState | None:
    """How the provider showed the invoice last; None when it was never read back."""
    found = await session.execute(
        select(ExternalInvoiceState)
        .where(ExternalInvoiceState.delivery_id == delivery_id)
        .order_by(col(ExternalInvoiceState.id).desc())
        .limit(1)
    )
    return found.scalar_one_or_none()


async def _missed(session: AsyncSession, delivery: Delivery, entry: ProviderEntry) -> None:
    """It counts here and no more at the provider: the books differ until a person decides which is right."""
    if await session.get(InvoiceVoid, delivery.invoice_id) is not None:
        return
    delivery.status, delivery.next_attempt_at, delivery.acknowledged = DeliveryStatus.NEEDS_ATTENTION, None, Decimal(0)
    delivery.error_code = VOIDED_AT_PROVIDER
    words = f" The provider says: {entry.message}" if entry.message else ""
    delivery.error_message = calling.storable_text(
        f"{entry.provider_reference} is {entry.provider_status} at the provider, and final here.{words}", calling.TEXT
    )
    delivery.error_hint = (
        "Void it here too, and make it again if it is still owed; or cancel the delivery when it is settled elsewhere."
    )


def _facts(state: ExternalInvoiceState) -> dict[str, object]:
    return {
        "providerReference": state.provider_reference,
        "providerStatus": state.provider_status,
        "payment": state.payment,
        "amount": state.amount,
        "tax": state.tax,
        "amountPaid": state.amount_paid,
        "dueAt": state.due_at,
        "message": state.message,
        "chargeReference": state.charge_reference,
    }


async def _delivery_of(session: AsyncSession, subject: Subject) -> tuple[UUID, UUID] | None:
    """The delivery and configuration that the notices are about: by the provider's id, else by ours in the notice."""
    found = await session.execute(
        select(Delivery.id, Delivery.billing_configuration_id).where(
            Delivery.connection == subject.connection.name,
            Delivery.provider_reference == subject.provider_reference,
        )
    )
    row = found.first()
    if row is not None:
        return row[0], row[1]
    named = next((notice.reference for notice in subject.notices if notice.reference), None)
    return await _delivery_by(session, subject, named)


async def _delivery_by(session: AsyncSession, subject: Subject, reference: str | None) -> tuple[UUID, UUID] | None:
    parsed = ids.parse(reference or "")
    if parsed is None or parsed[0] != "invoice":
        return None
    found = await session.execute(
        select(Delivery.id, Delivery.billing_configuration_id).where(
            Delivery.connection == subject.connection.name,
            Delivery.invoice_id == parsed[1],
            # An older object that was replaced at the provider also carries our id.
            col(Delivery.provider_reference).is_(None),
        )
    )
    row = found.first()
    return None if row is None else (row[0], row[1])


async def _is_open(session: AsyncSession, subject: Subject) -> bool:
    found = await session.execute(
        select(ProviderNotice.id)
        .where(
            col(ProviderNotice.id).in_([notice.id for notice in subject.notices]),
            ProviderNotice.state == NoticeState.RECEIVED,
        )
        .limit(1)
    )
    return found.first() is not None


def _later(failure: Transient | Terminal) -> Later:
    return Later(failure.message, "TRANSIENT" if isinstance(failure, Transient) else failure.code)
