"""Payments for which commits wait: asked for at Stripe, and found there.

Owns the reading of what became of them. What it means for the commit is decided in the invoices slice; nothing is changed
at the provider here, so that a kill at any step is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, func, select

from app.actor import Actor
from app.core.grants import PaymentGate
from app.delivery import calling, gated, registry, states
from app.delivery.tables import Delivery
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.invoices import tables
from app.store.engine import Store

LIMIT = 200
"""Payments that are looked at in one sweep; which ones of more is left to chance, since some wait for weeks."""


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
            .order_by(func.random())
            .limit(LIMIT)
        )
        waiting = [(row[0], row[1], str(row[2])) for row in rows]
    settled = 0
    silent = set[str]()
    for grant_id, name, reference in waiting:
        connection = connections.find(name)
        if connection is None or name in silent:
            continue
        entry = await calling.shown_now(connection, reference)
        if entry is None:
            # Two hundred waits in vain would take longer than until the next sweep.
            silent.add(name)
        else:
            async with store.transaction() as session:
                settled += await gated.settle(session, grant_id, entry, actor=actor, now=clock())
    return settled
