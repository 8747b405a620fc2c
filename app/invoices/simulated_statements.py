"""Which invoices of a contract a simulation is about: those of an interval, final or open.

Owns the choice; what becomes of them is worked out in `simulating.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.core.period import HOUR, Period
from app.invoices.open import open_statements
from app.invoices.statements import Statement
from app.invoices.tables import IS_VOID, Invoice


async def final_in(session: AsyncSession, contract: Contract, interval: Period, *, limit: int) -> list[Invoice]:
    """The final invoices of a contract that count and overlap an interval, in the order in which they were issued."""
    rows = await session.execute(
        select(Invoice)
        .where(
            Invoice.contract_id == contract.id,
            ~IS_VOID,
            # What is put together of others is shown by those.
            Invoice.type != InvoiceType.USAGE_CONSOLIDATED,
            col(Invoice.starting_at) < interval.ending_before,
            or_(
                col(Invoice.ending_before) > interval.starting_at,
                col(Invoice.ending_before).is_(None) & (col(Invoice.starting_at) >= interval.starting_at),
            ),
        )
        .order_by(col(Invoice.issued_at), col(Invoice.type) == InvoiceType.TRUEUP, col(Invoice.number))
        .limit(limit)
    )
    return list(rows.scalars())


async def open_in(
    session: AsyncSession,
    contract: Contract,
    interval: Period,
    *,
    also: Collection[UUID] = (),
    until: datetime,
) -> list[Statement]:
    """The open invoices of a contract that overlap an interval, in the order in which they become final.

    With them come those in `also`, and the one that the contract's end cuts: a change of the end moves them into the
    interval or out of it.
    """
    return [
        item
        for item in await open_statements(session, [contract], now=until)
        if item.type is not InvoiceType.USAGE_CONSOLIDATED
        and (
            item.id in also
            or meets(interval, item.period)
            or (contract.ending_before is not None and item.period.ending_before == contract.ending_before)
        )
    ]


def meets(interval: Period, of_invoice: Period) -> bool:
    """Whether an invoice overlaps the interval of a simulation; a scheduled one has a date and no end."""
    end = of_invoice.ending_before or of_invoice.starting_at + HOUR
    return interval.intersect(Period(of_invoice.starting_at, end)) is not None
