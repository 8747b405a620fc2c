"""Who collects the payment of an invoice for which a commit waits, and what a provider tells of it.

Owns both readings; the first decides whether the invoice is sent at all, and how it is collected. What an outcome means
for the commit is decided in the invoices slice.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.access import audit
from app.actor import Actor
from app.change import take_change
from app.contracts import history
from app.core.grants import GateStatus, PaymentGate
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.invoices import gates, tables
from connectors.base import PaymentState, ProviderEntry

ACTION = "payment.settle"
OUTCOMES = {PaymentState.PAID: GateStatus.PAID, PaymentState.FAILED: GateStatus.FAILED}


async def gates_of(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, PaymentGate]:
    """Who collects the payment of these invoices, where a commit waits for it."""
    rows = await session.execute(
        select(tables.Invoice.id, GrantRow.gate)
        .join(GrantRow, col(GrantRow.id) == tables.Invoice.purchase_of)
        .where(col(tables.Invoice.id).in_(invoice_ids), col(GrantRow.gate).is_not(None))
    )
    return {invoice_id: PaymentGate(gate) for invoice_id, gate in rows if gate is not None}


async def collected_elsewhere(session: AsyncSession, customer_id: UUID) -> set[UUID]:
    """The commits of a customer whose payment the caller collects; what asks for it is sent to no provider."""
    rows = await session.scalars(
        select(GrantRow.id).where(GrantRow.customer_id == customer_id, GrantRow.gate == PaymentGate.EXTERNAL)
    )
    return set(rows)


async def settle_by(
    session: AsyncSession, invoice_id: UUID, entry: ProviderEntry, *, actor: Actor, now: datetime
) -> bool:
    """Write what an invoice tells of a payment for which a commit waits; False when none waits for this one."""
    found = await session.execute(
        select(GrantRow.id)
        .join(tables.Invoice, col(tables.Invoice.purchase_of) == GrantRow.id)
        .where(tables.Invoice.id == invoice_id, IS_UNPAID, GrantRow.gate == PaymentGate.STRIPE)
    )
    grant_id = found.scalar_one_or_none()
    return grant_id is not None and await settle(session, grant_id, entry, actor=actor, now=now)


async def settle(session: AsyncSession, grant_id: UUID, entry: ProviderEntry, *, actor: Actor, now: datetime) -> bool:
    """Write what an entry tells of the payment of a commit; False when it tells nothing, or nothing new."""
    outcome = None if entry.payment is None else OUTCOMES.get(entry.payment)
    if outcome is None:
        return False
    reason = f"{entry.provider_reference} is {entry.provider_status} at the provider."
    if not await gates.settle_gate_of(session, grant_id, outcome, reason=reason, now=now):
        return False
    await audit.record(session, actor, action=ACTION, now=now, change=take_change(session))
    await history.keep_changes(session, actor, action=ACTION, now=now)
    return True
