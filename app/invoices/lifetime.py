"""Lifetime billings: what all final invoices of a customer come to.

Owns the sum of semantics 6.9, kept with every invoice that becomes final or void, so that lists can be sorted by it. Void
invoices do not count. Currencies are never added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact
from app.invoices.tables import Invoice, LifetimeBilling
from app.store.arrays import among


async def lifetime_billings(session: AsyncSession, customer_ids: Sequence[UUID]) -> dict[UUID, dict[str, Decimal]]:
    """The totals of each customer's final invoices by currency, in the order of their codes."""
    rows = await session.execute(
        select(LifetimeBilling)
        .where(among(col(LifetimeBilling.customer_id), customer_ids))
        .order_by(col(LifetimeBilling.currency))
    )
    found: dict[UUID, dict[str, Decimal]] = {customer_id: {} for customer_id in customer_ids}
    for row in rows.scalars():
        found[row.customer_id][row.currency] = row.total
    return found


COUNT = """
insert into lifetime_billings as known (customer_id, currency, total)
select * from unnest(cast(:customers as uuid[]), cast(:currencies as text[]), cast(:totals as numeric[]))
on conflict (customer_id, currency) do update set total = known.total + excluded.total
"""


async def count_invoices(session: AsyncSession, invoices: Sequence[Invoice], *, void: bool = False) -> None:
    """Add invoices that have become final, or take away those that have become void; who pays them is locked.

    An invoice counts for the customer who pays it, a consolidated one for nobody: its constituents were counted.
    """
    payers = {invoice.payer_contract_id for invoice in invoices if invoice.payer_contract_id is not None}
    rows = await session.execute(select(Contract.id, Contract.customer_id).where(among(col(Contract.id), payers)))
    owners = {contract_id: customer_id for contract_id, customer_id in rows} if payers else {}  # noqa: C416
    totals: dict[tuple[UUID, str], Decimal] = {}
    with exact():
        for invoice in invoices:
            if invoice.type == InvoiceType.USAGE_CONSOLIDATED:
                continue
            payer = invoice.customer_id if invoice.payer_contract_id is None else owners[invoice.payer_contract_id]
            key = (payer, invoice.currency)
            totals[key] = totals.get(key, ZERO) + (-invoice.total if void else invoice.total)
    if not totals:
        return
    # In one order everywhere, so that nobody waits for a row while holding one that another waits for.
    keys = sorted(totals)
    columns = {
        "customers": [customer_id for customer_id, _ in keys],
        "currencies": [currency for _, currency in keys],
        "totals": [totals[key] for key in keys],
    }
    await session.execute(text(COUNT), columns)
