"""Which invoices a breakdown of a customer or a contract looks at, and in which order.

Owns the query and the finding; drafts stand among final invoices where they will be when they are issued.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.breakdown import WindowPair, WindowSize
from app.core.invoice import InvoiceStatus, InvoiceType
from app.core.period import HOUR, Period
from app.invoices.open import open_statements
from app.invoices.statements import Statement
from app.invoices.tables import IS_VOID, Invoice

Position = tuple[datetime, UUID, datetime]
"""When an invoice is issued, its id, and where one of its windows begins: the order of everything."""


@dataclass(frozen=True, slots=True)
class BreakdownQuery:
    """What is asked for. Windows lie wholly inside `interval`, which has an end; None for all windows of one invoice."""

    interval: Period | None
    size: WindowSize
    customer_id: UUID | None = None
    contract_id: UUID | None = None
    statuses: frozenset[InvoiceStatus] = frozenset((InvoiceStatus.DRAFT, InvoiceStatus.FINALIZED))
    currency: str | None = None
    skip_zero: bool = True
    descending: bool = False

    def shows(self, window: WindowPair) -> bool:
        """Whether a window lies in the interval."""
        return self.interval is None or self.interval.intersect(window.period) == window.period


def place_of(item: Invoice | Statement) -> tuple[datetime, UUID]:
    """A draft stands where its invoice will."""
    return (item.issued_at if isinstance(item, Invoice) else item.due_at), item.id


async def final_asked(
    session: AsyncSession, query: BreakdownQuery, after: Position | None, *, limit: int
) -> list[Invoice]:
    """The final invoices from a position on, in order."""
    if InvoiceStatus.FINALIZED not in query.statuses:
        return []
    assert query.interval is not None
    start, end = query.interval.starting_at, query.interval.ending_before
    statement = select(Invoice).where(
        ~IS_VOID,
        # What it says stands in its constituents, which are listed.
        Invoice.type != InvoiceType.USAGE_CONSOLIDATED,
        *_conditions(query),
        col(Invoice.starting_at) < end,
        # A scheduled invoice has a date and no end.
        or_(
            col(Invoice.ending_before) > start,
            col(Invoice.ending_before).is_(None) & (col(Invoice.starting_at) >= start),
        ),
    )
    if after is not None:
        # The invoice of the last window may have more of them.
        key = (col(Invoice.issued_at), col(Invoice.id))
        first, last = after[0], after[1]
        if query.descending:
            statement = statement.where((key[0] < first) | ((key[0] == first) & (key[1] <= last)))
        else:
            statement = statement.where((key[0] > first) | ((key[0] == first) & (key[1] >= last)))
    order = [col(Invoice.issued_at), col(Invoice.id)]
    ordered = statement.order_by(*(one.desc() if query.descending else one.asc() for one in order))
    return list((await session.execute(ordered.limit(limit))).scalars())


async def open_asked(
    session: AsyncSession, query: BreakdownQuery, after: Position | None, *, now: datetime
) -> list[Statement]:
    """The open invoices from a position on, in the order in which they become final."""
    if InvoiceStatus.DRAFT not in query.statuses:
        return []
    contracts = select(Contract)
    if query.customer_id is not None:
        contracts = contracts.where(Contract.customer_id == query.customer_id)
    if query.contract_id is not None:
        contracts = contracts.where(Contract.id == query.contract_id)
    rows = (await session.execute(contracts)).scalars().all()
    return [
        item
        for item in await open_statements(session, rows, now=now)
        if item.type is not InvoiceType.USAGE_CONSOLIDATED
        and query.currency in (None, item.currency)
        and _overlaps(item.period, query)
        and _follows(item, after, query)
    ]


def _overlaps(period: Period, query: BreakdownQuery) -> bool:
    assert query.interval is not None
    whole = period if period.ending_before is not None else Period(period.starting_at, period.starting_at + HOUR)
    return query.interval.intersect(whole) is not None


def _follows(item: Statement, after: Position | None, query: BreakdownQuery) -> bool:
    if after is None:
        return True
    return place_of(item) <= after[:2] if query.descending else place_of(item) >= after[:2]


def _conditions(query: BreakdownQuery) -> list[Any]:
    found: list[Any] = []
    if query.customer_id is not None:
        found.append(Invoice.customer_id == query.customer_id)
    if query.contract_id is not None:
        found.append(Invoice.contract_id == query.contract_id)
    if query.currency is not None:
        found.append(Invoice.currency == query.currency)
    return found
