"""Which invoices of a contract are open: usage statements that have begun, and scheduled invoices dated up to now.

Owns what is due when, and which fee or charge is on which of them. What they say is left to `drafts.py`. An invoice is
open until it is final; a void one is never open again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.invoice import InvoiceType
from app.core.period import statement_periods
from app.core.placement import Placed
from app.invoices import placing
from app.invoices.statements import Statement, order_of, scheduled_invoice, usage_statement
from app.invoices.tables import Invoice
from app.invoices.trueups import open_true_ups

INVOICES = Invoice.__table__.c  # type: ignore[attr-defined]
FINAL = (INVOICES.contract_id, INVOICES.type, INVOICES.starting_at, INVOICES.currency, INVOICES.ordinal)


@dataclass(slots=True)
class _Final:
    """The invoices of a contract that are final: starts of usage statements, and scheduled ones by date and unit."""

    statements: set[datetime] = field(default_factory=set)
    scheduled: dict[tuple[datetime, str], int] = field(default_factory=dict)


async def open_statements(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The open invoices of these contracts, in the order in which they become final (golden decision 25).

    By due time, scheduled before usage, then the contracts' priority, start and id; true-ups come last.
    """
    running = [contract for contract in contracts if contract.archived_at is None]
    final = await _final(session, [contract.id for contract in running])
    terms = await placing.terms_with_fees(session, running)
    found: list[Statement] = []
    for contract in running:
        done = final.get(contract.id, _Final())
        periods = list(statement_periods(schedule_of(contract), contract=contract_period(contract), begun_by=now))
        placed = Placed()
        if contract.id in terms:
            placed = placing.placed(
                terms[contract.id], periods, final=done.statements, scheduled=done.scheduled, now=now
            )
        found += [
            usage_statement(contract, period, items=placed.on_statements.get(period.starting_at, ()))
            for period in periods
            if period.starting_at not in done.statements
        ]
        found += [scheduled_invoice(contract, date, items=items) for date, items in placed.alone.items()]
    found += await open_true_ups(session, running, now=now)
    return sorted(found, key=order_of)


async def _final(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, _Final]:
    rows = await session.execute(select(*FINAL).where(INVOICES.contract_id.in_(contract_ids)))
    found: dict[UUID, _Final] = {}
    for contract_id, kind, starting_at, currency, ordinal in rows:
        done = found.setdefault(contract_id, _Final())
        if kind == InvoiceType.USAGE:
            done.statements.add(starting_at)
        elif kind == InvoiceType.SCHEDULED:
            date = (starting_at, currency)
            done.scheduled[date] = max(done.scheduled.get(date, 0), ordinal + 1)
    return found
