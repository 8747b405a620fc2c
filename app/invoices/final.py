"""Which invoices of a contract are final, and so take nothing more.

Owns that reading; a void invoice is final too, and one that was made again is replaced by the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.invoice import InvoiceType
from app.core.period import Period
from app.invoices.standing import IS_REGENERATED
from app.invoices.tables import IS_VOID, Invoice
from app.store.arrays import among

INVOICES = Invoice.__table__.c  # type: ignore[attr-defined]
COLUMNS = (
    *(INVOICES.contract_id, INVOICES.type, INVOICES.starting_at, INVOICES.ending_before, INVOICES.currency),
    *(INVOICES.ordinal, INVOICES.purchase_of, IS_VOID),
)


@dataclass(slots=True)
class Final:
    """The invoices of a contract that are final: usage statements, and how many scheduled ones by date and unit.

    `void` are the starts of those that are void and were not made again.
    """

    statements: list[Period] = field(default_factory=list)
    void: set[datetime] = field(default_factory=set)
    scheduled: dict[tuple[datetime, str], int] = field(default_factory=dict)


async def final_of_contracts(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, Final]:
    """What is final of each contract that has anything final."""
    rows = await session.execute(select(*COLUMNS).where(among(INVOICES.contract_id, contract_ids), ~IS_REGENERATED))
    found: dict[UUID, Final] = {}
    for contract_id, kind, starting_at, ending_before, currency, ordinal, purchase_of, is_void in rows:
        done = found.setdefault(contract_id, Final())
        if kind == InvoiceType.USAGE:
            done.statements.append(Period(starting_at, ending_before))
            if is_void:
                done.void.add(starting_at)
        elif kind == InvoiceType.SCHEDULED and purchase_of is None:
            date = (starting_at, currency)
            done.scheduled[date] = max(done.scheduled.get(date, 0), ordinal + 1)
    return found
