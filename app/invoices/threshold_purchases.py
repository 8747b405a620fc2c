"""A threshold buys a prepaid commit, which is billed alone and at once.

Owns the making of both, and that a threshold which could not be paid for is disabled. Whether it buys is decided by
`thresholds.py`, under the customer's lock; the commit's terms are in `threshold_terms.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.collecting import obstacle
from app.contracts.tables import Contract, ThresholdRow
from app.core.grants import PaymentGate
from app.core.invoice import InvoiceType
from app.grants.service import insert_grant
from app.grants.tables import GrantRow
from app.invoices import gates, statements, tables
from app.invoices.threshold_terms import commit_of
from app.providers import ProviderDirectory


@dataclass(frozen=True, slots=True)
class Purchase:
    """The commit that was bought, and the final invoice that asks for it."""

    row: GrantRow
    invoice: tables.Invoice


async def buy(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    row: ThresholdRow,
    amount: Decimal,
    *,
    now: datetime,
) -> Purchase | None:
    """Make the commit and its invoice; None when it could not be paid for as agreed, and the threshold is disabled."""
    gate = None if row.gate is None else PaymentGate(row.gate)
    found = await commit_of(session, contract, row, amount, gate, now=now)
    reason = await obstacle(session, directory, contract, gates=[gate] if gate else [], has_thresholds=True, since=now)
    if found is None:
        reason = reason or f"The contract's rate card converts no {row.unit} any more."
    if found is None or reason is not None:
        row.is_enabled, row.stopped_because = False, reason
        await session.flush()
        return None
    bought = await insert_grant(session, contract.customer_id, contract, found, path=("threshold",), now=now)
    invoice = await gates.bill_purchase(session, bought.id, now=now)
    assert invoice is not None, "what is bought is billed at once"
    return Purchase(bought, invoice)


def current_statement(
    found: Iterable[statements.Statement], contract: Contract, *, now: datetime
) -> statements.Statement | None:
    """The contract's open usage statement of now."""
    for item in found:
        if item.contract.id == contract.id and item.type is InvoiceType.USAGE and item.period.contains(now):
            return item
    return None
