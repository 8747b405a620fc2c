"""Entries in the books of balances: every movement is one row from an account to another, and none is ever changed.

Owns their writing. A movement out of a segment has the segment as its source, one into it as its target.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.drawdown import Draw
from app.core.grants import SegmentKey
from app.core.ledger import TransferKind
from app.core.money import ZERO
from app.grants.tables import TransferRow, account_of

ADJUSTMENT, CANCELED = "adjustment", "canceled"
INVOICE = "invoice:"
"""What the names of invoices' accounts begin with."""


def draw_rows(
    draws: Iterable[Draw], *, invoice_id: UUID, contract_id: UUID, at: datetime, now: datetime
) -> list[TransferRow]:
    """What an invoice takes from balances, one row for each segment; `at` is the end of its service period."""
    return [
        transfer(
            TransferKind.AUTOMATED_INVOICE_DEDUCTION, draw.pot, -draw.amount, other=invoice_account(invoice_id), at=at,
            invoice_id=invoice_id, contract_id=contract_id, now=now,
        )
        for draw in draws
    ]  # fmt: skip


def transfer(
    kind: TransferKind,
    segment: SegmentKey,
    amount: Decimal,
    *,
    other: str,
    at: datetime,
    now: datetime,
    invoice_id: UUID | None = None,
    contract_id: UUID | None = None,
    reason: str | None = None,
) -> TransferRow:
    """A movement between a segment and another account: into the segment above zero, out of it below."""
    assert amount != ZERO, "nothing moves without an amount"
    own = account_of(segment.grant_id, segment.number)
    source, target = (other, own) if amount > ZERO else (own, other)
    return TransferRow(
        created_at=now, kind=kind, source=source, target=target, amount=abs(amount), grant_id=segment.grant_id,
        segment=segment.number, at=at, invoice_id=invoice_id, contract_id=contract_id, reason=reason,
    )  # fmt: skip


def invoice_account(invoice_id: UUID) -> str:
    """The name of an invoice's account."""
    return f"{INVOICE}{invoice_id}"
