"""Bills commits that wait for their payment, by a job.

Owns that each is one transaction with its audit entry, and that one about which we made a mistake keeps no other from
being billed.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.access import audit
from app.actor import Actor
from app.change import Change
from app.grants import definitions
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.invoices import gates, service, tables
from app.store.engine import Store

log = structlog.get_logger("metrograph.invoices")
LIMIT = 1_000


async def bill_unpaid(store: Store, *, actor: Actor, now: datetime) -> int:
    """Make final what asks for the payment of commits that wait for it and are not billed yet; returns how many."""
    async with store.transaction() as session:
        waiting = await _unbilled(session, now=now)
    done = 0
    for grant_id in waiting:
        try:
            async with store.transaction() as session:
                invoice = await gates.bill_purchase(session, grant_id, now=now)
                if invoice is not None:
                    await audit_invoice(session, actor, invoice, now=now)
                    done += 1
        except Exception:
            log.exception("purchase not billed", commit=str(grant_id))
    return done


async def _unbilled(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Commits that wait for a payment which is due and for which no invoice asks, by id."""
    rows = await session.execute(
        select(GrantRow)
        .where(IS_UNPAID, ~select(tables.Invoice.id).where(tables.Invoice.purchase_of == GrantRow.id).exists())
        .order_by(col(GrantRow.id))
    )
    due = [
        row.id
        for row in rows.scalars()
        if row.invoice is not None and definitions.payment_from_json(row.invoice).items(row.unit)[0].at <= now
    ]
    return due[:LIMIT]


async def audit_invoice(session: AsyncSession, actor: Actor, invoice: tables.Invoice, *, now: datetime) -> None:
    """Write the audit entry of an invoice that a job made final."""
    change = Change("invoice", invoice.id, {"status": "DRAFT"}, service.finalized_summary(invoice))
    await audit.record(session, actor, action="invoice.finalize", now=now, change=change)
