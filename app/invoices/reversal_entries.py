"""What goes back when an outcome is reversed: one entry in a ledger for each payer, and a row that names both.

Owns the writing; where it goes is in `reversal_places.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.ledger import TransferKind
from app.core.quantities import Usage, usage_to_json
from app.core.reversals import Worth
from app.grants.transfers import ADJUSTMENT, transfer
from app.invoices.reversal_places import place_of
from app.invoices.reversals import chain_of
from app.invoices.tables import Invoice, OutcomeReversal, ReversalEntry, ReversedStatement


async def give(
    session: AsyncSession,
    reversal: OutcomeReversal,
    invoice: Invoice,
    change: Usage,
    worths: Sequence[Worth],
    *,
    now: datetime,
) -> None:
    """Keep how the usage of a statement is without an outcome, and give every payer back what it asked for too much.

    Errors: as of `place_of`.
    """
    session.add(ReversedStatement(reversal_id=reversal.id, invoice_id=invoice.id, usage=usage_to_json(change)))
    chain = await chain_of(session, invoice.id)
    for place, worth in enumerate(worths):
        target = await place_of(session, invoice, worth, chain=chain, now=now)
        moved = transfer(
            TransferKind.MANUAL, target, worth.amount, other=ADJUSTMENT, at=now, now=now,
            invoice_id=invoice.id, contract_id=invoice.contract_id,
            reason=f"Outcome {reversal.transaction_id} reversed: {reversal.reason}"[:500],
        )  # fmt: skip
        session.add(moved)
        await session.flush()
        payer = worth.paid_by
        session.add(
            ReversalEntry(
                reversal_id=reversal.id, invoice_id=invoice.id, position=place, unit=worth.unit, amount=worth.amount,
                paid_by_id=payer and payer.grant_id, paid_by_segment=None if payer is None else payer.number,
                grant_id=target.grant_id, segment=target.number, transfer_id=moved.id,
            )
        )  # fmt: skip
        await session.flush()
