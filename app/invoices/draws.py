"""What an open invoice takes, as it stands in the book of a balance.

Owns the movement and its instant; drafts, previews and final invoices share them.
"""

from __future__ import annotations

from datetime import datetime

from app.core.drawdown import Draw
from app.core.invoice import InvoiceType
from app.core.ledger import Movement, TransferKind
from app.invoices.statements import Statement


def draft_movement(draw: Draw, statement: Statement) -> Movement:
    """What an open invoice takes, as it stands in the book of the balance."""
    return Movement(
        TransferKind.AUTOMATED_INVOICE_DEDUCTION, draw.pot.number, -draw.amount, drawn_at(statement),
        invoice_id=statement.id, contract_id=statement.contract.id, is_draft=True,
    )  # fmt: skip


def drawn_at(statement: Statement) -> datetime:
    """Under which instant a draw stands in the ledger: the end of the service period, or a scheduled invoice's date."""
    if statement.type is InvoiceType.USAGE:
        assert statement.period.ending_before is not None, "a statement has an end"
        return statement.period.ending_before
    return statement.period.starting_at
