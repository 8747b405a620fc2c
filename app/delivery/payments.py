"""Payments for which commits wait: asked for at Stripe, and found there.

Owns the reading of what became of them. What it means for the commit is decided in the invoices slice; nothing is changed
at the provider here, so that a kill at any step is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, select

from app.access import audit
from app.actor import Actor
from app.change import take_change
from app.contracts import history
from app.core.grants import GateStatus, PaymentGate
from app.delivery import calling, registry, states
from app.delivery.tables import Delivery
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.invoices import gates, tables
from app.store.engine import Store
from connectors.base import PaymentState

ACTION = "payment.settle"
LIMIT = 200
"""Payments that are looked at in one sweep; the oldest first."""
OUTCOMES = {PaymentState.PAID: GateStatus.PAID, PaymentState.FAILED: GateStatus.FAILED}


async def settle_payments(
    store: Store, connections: registry.Connections, *, actor: Actor, clock: Callable[[], datetime]
) -> int:
    """Ask Stripe about payments that are awaited, and write what became of them; returns how many were settled."""
    async with store.transaction() as session:
        rows = await session.execute(
            select(GrantRow.id, Delivery.connection, Delivery.provider_reference)
            .join(tables.Invoice, col(tables.Invoice.purchase_of) == GrantRow.id)
            .join(Delivery, col(Delivery.invoice_id) == tables.Invoice.id)
            .where(
                IS_UNPAID,
                GrantRow.gate == PaymentGate.STRIPE,
                Delivery.status == states.DeliveryStatus.DELIVERED,
                col(Delivery.provider_reference).is_not(None),
            )
            .order_by(col(GrantRow.id))
            .limit(LIMIT)
        )
        waiting = [(row[0], row[1], str(row[2])) for row in rows]
    settled = 0
    for grant_id, name, reference in waiting:
        connection = connections.find(name)
        entry = None if connection is None else await calling.shown_now(connection, reference)
        outcome = None if entry is None or entry.payment is None else OUTCOMES.get(entry.payment)
        if entry is not None and outcome is not None:
            reason, now = f"{reference} is {entry.provider_status} at the provider.", clock()
            async with store.transaction() as session:
                if await gates.settle_gate_of(session, grant_id, outcome, reason=reason, now=now):
                    await audit.record(session, actor, action=ACTION, now=now, change=take_change(session))
                    await history.keep_changes(session, actor, action=ACTION, now=now)
                    settled += 1
    return settled
