"""Brings each finalized invoice to its provider, exactly once.

Owns the order that makes a kill at any step harmless: the intent (document and key, frozen) is committed, the provider
is called outside any transaction, the receipt is committed. An intent without a receipt is repeated unchanged, and the
connector looks the effect up by our reference before it makes it again. One holder per customer of the provider at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.grants import PaymentGate
from app.core.invoice import InvoiceType
from app.core.money import ZERO
from app.core.retry import wait_before
from app.customers.tables import BillingConfiguration
from app.delivery import families, requests
from app.delivery.calling import ask
from app.delivery.documents import invoice_document
from app.delivery.gated import gates_of
from app.delivery.registry import Connection, Connections
from app.delivery.states import CLOSED, NO_EFFECT, UNKNOWN_EFFECT, DeliveryStatus
from app.delivery.tables import ConnectionPause, Delivery, DeliveryAttempt, DeliveryReceipt
from app.delivery.turns import turn_of
from app.failpoints import reached
from app.invoices.tables import IS_VOID, Invoice, InvoiceVoid
from app.store.engine import Store
from app.store.ids import to_text
from app.store.locks import hold, lock_named
from connectors.base import Outcome, OutcomeStatus, Terminal, Transient, document_from_json, document_to_json

log = structlog.get_logger("metrograph.delivery")

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
MAX_ATTEMPTS = 60
"""About two weeks of tries; after that a person must look."""


async def open_deliveries(session: AsyncSession, connections: Connections, *, now: datetime) -> list[Delivery]:
    """Make the delivery of every routed invoice that has none yet; safe to repeat, also by several at once."""
    # A row lock on the invoice would not do: whoever gets it second may still not see the first one's delivery.
    await lock_named(session, "deliveries")
    found = await session.execute(
        select(Invoice, BillingConfiguration)
        .join(BillingConfiguration, col(Invoice.billing_configuration_id) == BillingConfiguration.id)
        .where(~select(Delivery.id).where(Delivery.invoice_id == Invoice.id).exists(), ~IS_VOID)
        .order_by(col(Invoice.due_at), col(Invoice.id))
    )
    rows = await families.sent_by_themselves(session, [(invoice, route) for invoice, route in found], now=now)
    gates = await gates_of(session, [invoice.id for invoice, _, _ in rows])
    made = [
        _opened(invoice, route, connections, gate=gates.get(invoice.id), is_part=is_part, now=now)
        for invoice, route, is_part in rows
    ]
    session.add_all(made)
    await session.flush()
    await _tell_of_removed(session, connections, now=now)
    return made


async def _tell_of_removed(session: AsyncSession, connections: Connections, *, now: datetime) -> None:
    """Nobody meters for an account that is configured no more; what it was to cover would wait without a word."""
    found = await session.scalars(
        select(Delivery)
        .where(
            Delivery.mode == "metering",
            Delivery.status == DeliveryStatus.PENDING,
            col(Delivery.connection).not_in([item.name for item in connections.all()]),
        )
        .with_for_update(skip_locked=True)
    )
    for delivery in found:
        delivery.updated_at = now
        _attend(delivery, "NO_CONNECTION", f"No connection {delivery.connection!r} is configured.",
                "Add it to the connections file; metering goes on by itself then.")  # fmt: skip


async def due_deliveries(session: AsyncSession, *, now: datetime, at_once: bool = False) -> list[Delivery]:
    """Invoices to be sent now, oldest first, without those to paused accounts. `at_once` takes those that wait for a retry."""
    statement = select(Delivery).where(
        Delivery.mode == "invoice",
        col(Delivery.status).in_([DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.FAILED]),
        ~select(InvoiceVoid.invoice_id).where(InvoiceVoid.invoice_id == Delivery.invoice_id).exists(),
        col(Delivery.connection).not_in(select(ConnectionPause.connection)),
    )
    if not at_once:
        statement = statement.where(col(Delivery.next_attempt_at) <= now)
    found = await session.execute(statement.order_by(col(Delivery.created_at), col(Delivery.id)))
    return list(found.scalars())


async def deliver(store: Store, connections: Connections, delivery_id: UUID, *, clock: Callable[[], datetime]) -> bool:
    """Make one try at one delivery. False when it needs none now, or when another worker is at this customer."""
    async with store.transaction() as session:
        delivery = await session.get(Delivery, delivery_id)
        if delivery is None or delivery.status in CLOSED or delivery.mode != "invoice":
            return False
        turn = await turn_of(session, connections, delivery.billing_configuration_id)
    async with hold(store, turn) as is_ours:
        if not is_ours:
            return False
        reached("delivery.before_intent")
        async with store.transaction() as session:
            intent = await _intent(session, connections, delivery_id, now=clock())
        if intent is None:
            return False
        attempt, connection = intent
        reached("delivery.intent_committed")
        result = await _call(connection, attempt)
        reached("delivery.called")
        async with store.transaction() as session:
            await _receive(session, attempt, result, now=clock())
        reached("delivery.receipt_committed")
        return True


def _opened(
    invoice: Invoice,
    configuration: BillingConfiguration,
    connections: Connections,
    *,
    gate: PaymentGate | None,
    is_part: bool,
    now: datetime,
) -> Delivery:
    connection = connections.find(configuration.connection)
    delivery = Delivery(
        created_at=now, updated_at=now, invoice_id=invoice.id, customer_id=invoice.customer_id,
        billing_configuration_id=configuration.id, provider=configuration.provider,
        connection=configuration.connection, mode=requests.mode_of(connection, configuration, invoice),
        status=DeliveryStatus.PENDING, currency=invoice.currency, total=invoice.total, acknowledged=ZERO,
        next_attempt_at=now,
    )  # fmt: skip
    if is_part:
        _skip(delivery, "CONSOLIDATED", "It goes out with the consolidated invoice of the contract that pays for it.")
    elif connection is None:
        _attend(delivery, "NO_CONNECTION", f"No connection {configuration.connection!r} is configured.",
                "Add it to the connections file and retry.")  # fmt: skip
    elif connection.capabilities.currencies is not None and invoice.currency not in connection.capabilities.currencies:
        _skip(delivery, "CURRENCY", f"{configuration.provider} does not take {invoice.currency}; settle it directly.")
    elif gate is PaymentGate.EXTERNAL:
        _skip(delivery, "PAID_ELSEWHERE", "The payment is collected by the caller, who tells its outcome.")
    elif invoice.type == InvoiceType.TRUEUP and delivery.mode == "metering":
        # It becomes final when the hours that it stands for can no longer be metered (semantics 7.4 and 7.5).
        _skip(delivery, "TRUEUP", f"{configuration.provider} is never sent a true-up; settle it directly.")
    return delivery


async def _intent(
    session: AsyncSession, connections: Connections, delivery_id: UUID, *, now: datetime
) -> tuple[DeliveryAttempt, Connection] | None:
    """Freeze what will be sent. The document and the key are those of the first try, for as long as it takes."""
    delivery = await session.get_one(Delivery, delivery_id, with_for_update=True)
    # A void invoice is not sent any more; `voids.py` decides what becomes of it.
    if delivery.status in CLOSED or await session.get(InvoiceVoid, delivery.invoice_id) is not None:
        return None
    if await session.get(ConnectionPause, delivery.connection) is not None:
        return None
    connection = connections.find(delivery.connection)
    if connection is None:
        _attend(delivery, "NO_CONNECTION", f"No connection {delivery.connection!r} is configured.",
                "Add it to the connections file and retry.")  # fmt: skip
        return None
    # Killed each time before an answer came. A retry by hand makes it PENDING, and is not stopped here.
    if delivery.status == DeliveryStatus.SENDING and delivery.attempts >= MAX_ATTEMPTS:
        _attend(delivery, "NO_ANSWER", f"{MAX_ATTEMPTS} tries ended without an answer.",
                "Look at the provider whether the invoice is there, then retry.")  # fmt: skip
        return None
    last = await _last_attempt(session, delivery_id)
    if last is None:
        invoice = await session.get_one(Invoice, delivery.invoice_id)
        configuration = await session.get_one(BillingConfiguration, delivery.billing_configuration_id)
        try:
            document = document_to_json(await invoice_document(session, invoice, configuration))
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as fault:
            # Nothing was sent, and the next try would fail alike; it must not be tried for ever in silence.
            log.exception("document not made", delivery=to_text("delivery", delivery_id))
            delivery.updated_at = now
            _attend(delivery, "DOCUMENT", f"The document of the invoice cannot be made ({type(fault).__name__}).",
                    "The log of the worker has the reason; retry when it is mended, or void the invoice.")  # fmt: skip
            return None
        key = to_text("invoice", invoice.id)
    else:
        document, key = last.document, last.key
    delivery.attempts += 1
    attempt = DeliveryAttempt(
        created_at=now, delivery_id=delivery_id, number=delivery.attempts, key=key, document=document
    )
    session.add(attempt)
    delivery.status, delivery.updated_at = DeliveryStatus.SENDING, now
    return attempt, connection


async def _last_attempt(session: AsyncSession, delivery_id: UUID) -> DeliveryAttempt | None:
    found = await session.execute(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == delivery_id)
        .order_by(col(DeliveryAttempt.number).desc())
        .limit(1)
    )
    return found.scalar_one_or_none()


async def _call(connection: Connection, attempt: DeliveryAttempt) -> Outcome | Transient | Terminal:
    answer = await ask(connection, document_from_json(attempt.document), attempt.key)
    if isinstance(answer, Transient | Terminal):
        return answer
    assert len(answer) == 1, "one invoice, one outcome"
    return answer[0]


async def _receive(
    session: AsyncSession, attempt: DeliveryAttempt, result: Outcome | Transient | Terminal, *, now: datetime
) -> None:
    """Keep what the provider said, and move the delivery on."""
    delivery = await session.get_one(Delivery, attempt.delivery_id, with_for_update=True)
    delivery.updated_at = now
    session.add(_receipt(attempt, result, now=now))
    match result:
        case Transient():
            _fail(delivery, "TRANSIENT", result.message, None, wait=result.wait, now=now)
        case Terminal():
            _attend(delivery, result.code, result.message, result.hint or None)
        case Outcome():
            _apply(delivery, result, now=now)
            void = await session.get(InvoiceVoid, delivery.invoice_id)
            if delivery.status == DeliveryStatus.DELIVERED and void is not None and not void.in_provider:
                # It was voided after it had gone out, and nobody knew that it would get there; `voids.py` tells.
                delivery.status, delivery.next_attempt_at, delivery.delivered_at = DeliveryStatus.FAILED, now, None
                delivery.acknowledged = ZERO


def _apply(delivery: Delivery, outcome: Outcome, *, now: datetime) -> None:
    delivery.provider_reference = outcome.provider_reference or delivery.provider_reference
    delivery.provider_status = outcome.provider_status or delivery.provider_status
    delivery.effective_at = outcome.effective_at or delivery.effective_at
    if outcome.status is OutcomeStatus.UNKNOWN:
        _fail(delivery, outcome.code or "UNKNOWN", outcome.message, outcome.hint, wait=None, now=now)
    elif not outcome.is_done:
        _attend(delivery, outcome.code or outcome.status, outcome.message, outcome.hint)
    elif outcome.code == "SKIPPED":
        _skip(delivery, outcome.code, outcome.message)
    else:
        delivery.status, delivery.next_attempt_at, delivery.delivered_at = DeliveryStatus.DELIVERED, None, now
        delivery.acknowledged = delivery.total if outcome.acknowledged is None else outcome.acknowledged
        delivery.error_code = delivery.error_message = delivery.error_hint = None


def _fail(
    delivery: Delivery, code: str, message: str | None, hint: str | None, *, wait: timedelta | None, now: datetime
) -> None:
    """It may work later: wait longer each time, and longer still when the provider asks for it."""
    if delivery.attempts >= MAX_ATTEMPTS:
        _attend(delivery, code, message, hint or f"{MAX_ATTEMPTS} tries failed; look at the provider, then retry.")
        return
    usual = wait_before(delivery.attempts + 1, seed=str(delivery.id), first=FIRST_WAIT, cap=LONGEST_WAIT)
    delivery.status = DeliveryStatus.FAILED
    delivery.next_attempt_at = now + max(usual, wait or usual)
    delivery.error_code, delivery.error_message, delivery.error_hint = code, message, hint


def _attend(delivery: Delivery, code: str, message: str | None, hint: str | None) -> None:
    """Repeating will not help; a person must act, and then retries by hand."""
    delivery.status, delivery.next_attempt_at = DeliveryStatus.NEEDS_ATTENTION, None
    delivery.error_code, delivery.error_message, delivery.error_hint = code, message, hint


def _skip(delivery: Delivery, code: str, message: str | None) -> None:
    """The provider cannot be asked for it; the seller collects it elsewhere."""
    delivery.status, delivery.next_attempt_at = DeliveryStatus.SKIPPED, None
    delivery.error_code, delivery.error_message = code, message


def _receipt(attempt: DeliveryAttempt, result: Outcome | Transient | Terminal, *, now: datetime) -> DeliveryReceipt:
    receipt = DeliveryReceipt(created_at=now, attempt_id=attempt.id, outcome="TRANSIENT", message=None)
    match result:
        case Outcome():
            receipt.outcome, receipt.code, receipt.hint = result.status, result.code, result.hint
            receipt.acknowledged, receipt.request_ids = result.acknowledged, list(result.request_ids)
            receipt.provider_reference, receipt.provider_status = result.provider_reference, result.provider_status
        case Terminal():
            receipt.outcome, receipt.code, receipt.hint = "TERMINAL", result.code, result.hint or None
        case Transient():
            receipt.code = UNKNOWN_EFFECT if result.unknown else NO_EFFECT
    receipt.message = result.message or None
    return receipt
