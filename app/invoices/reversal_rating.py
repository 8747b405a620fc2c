"""What a final statement asked for too much, worked out from what was frozen with it; and the proof of what went back.

Owns reading the frozen statement with the reversals that were made of it. The rule is in `core.reversals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.frozen import terms_from_json
from app.core import pots, quantities, reversals
from app.core.grants import Pot, SegmentKey
from app.core.terms import Terms
from app.errors import BillingError
from app.grants.tables import TransferRow, account_of
from app.invoices.frozen_rating import NotRecomputable, rated_with
from app.invoices.reversals import Change, chain_of, changes_of
from app.invoices.tables import Invoice, InvoiceInputs, OutcomeReversal, ReversalEntry, ReversedStatement
from app.store.ids import to_text


@dataclass(frozen=True, slots=True)
class Billed:
    """A final statement as it was frozen, and the reversals of it and of the void ones before it, in their order."""

    invoice: Invoice
    frozen: InvoiceInputs
    terms: Terms
    pots: Sequence[Pot]
    reversed: Sequence[tuple[OutcomeReversal, Change]]

    def worths(
        self, change: quantities.Usage, *, before: Sequence[quantities.Usage] | None = None
    ) -> tuple[reversals.Worth, ...]:
        """What it asked for too much by a change of its usage, after the reversals `before` this one (default: all)."""
        earlier = [found for _, found in self.reversed] if before is None else before
        usage = reversals.changed(quantities.usage_from_json(self.frozen.usage), earlier)
        rated = [
            rated_with(self.invoice, self.frozen, item, terms=self.terms, pots=self.pots)
            for item in (usage, reversals.changed(usage, [change]))
        ]
        return reversals.worths(*rated, unit=self.terms.unit.code, pots=self.pots)


async def billed(
    session: AsyncSession, invoice: Invoice, *, reversed: Sequence[tuple[OutcomeReversal, Change]] | None = None
) -> Billed:
    """A final usage statement, ready to be rated again; `reversed` is what is reversed of it by now, if not what is stored."""
    frozen = await session.get_one(InvoiceInputs, invoice.id)
    made = await changes_of(session, await chain_of(session, invoice.id)) if reversed is None else reversed
    return Billed(invoice, frozen, terms_from_json(frozen.terms), pots.pots_from_json(frozen.pots), made)


async def misgiven(session: AsyncSession) -> tuple[int, list[str]]:
    """How many reversals of statements were looked at, and the ids of those that gave back another amount than is due."""
    rows = await session.scalars(
        select(ReversedStatement.invoice_id).distinct().order_by(col(ReversedStatement.invoice_id))
    )
    checked, wrong = 0, list[str]()
    for invoice_id in rows.all():
        invoice = await session.get_one(Invoice, invoice_id)
        found = await billed(session, invoice)
        given = await _given(session, invoice_id)
        own = set(
            await session.scalars(
                select(ReversedStatement.reversal_id).where(ReversedStatement.invoice_id == invoice_id)
            )
        )
        for place, (reversal, change) in enumerate(found.reversed):
            if reversal.id in own:
                checked += 1
                try:
                    due = found.worths(change, before=[one for _, one in found.reversed[:place]])
                except (NotRecomputable, BillingError):
                    continue  # A rater that is not installed any more is no fault of the books.
                if list(due) != given.get(reversal.id, []):
                    wrong.append(to_text("outcome_reversal", reversal.id))
    return checked, wrong


async def _given(session: AsyncSession, invoice_id: UUID) -> dict[UUID, list[reversals.Worth]]:
    """What went back of an invoice, by reversal, as far as its entries and the ledgers agree."""
    rows = await session.execute(
        select(ReversalEntry, TransferRow)
        .join(TransferRow, col(TransferRow.id) == ReversalEntry.transfer_id)
        .where(ReversalEntry.invoice_id == invoice_id)
        .order_by(col(ReversalEntry.reversal_id), col(ReversalEntry.position))
    )
    found: dict[UUID, list[reversals.Worth]] = {}
    for entry, moved in rows:
        payer = None
        if entry.paid_by_id is not None and entry.paid_by_segment is not None:
            payer = SegmentKey(entry.paid_by_id, entry.paid_by_segment)
        if moved.amount == entry.amount and moved.target == account_of(entry.grant_id, entry.segment):
            found.setdefault(entry.reversal_id, []).append(reversals.Worth(entry.unit, entry.amount, payer))
    return found
