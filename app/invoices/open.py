"""Which invoices of a contract are open: usage statements that have begun, and scheduled invoices dated up to now.

Owns what is due when, and which fee or charge is on which of them. What they say is left to `drafts.py`. An invoice is
open until it is final; a void one is never open again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.fees import contracts_with_fees
from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of, terms_of_contracts
from app.core.invoice import InvoiceType, due_at, invoice_id, scheduled_due_at
from app.core.items import DueItem, items_due
from app.core.period import Period, statement_periods
from app.core.placement import Placed, ScheduledDate, place
from app.core.terms import Terms
from app.invoices.tables import Invoice

DAY = timedelta(days=1)
INVOICES = Invoice.__table__.c  # type: ignore[attr-defined]
FINAL = (INVOICES.contract_id, INVOICES.type, INVOICES.starting_at, INVOICES.currency, INVOICES.ordinal)


@dataclass(frozen=True, slots=True)
class Statement:
    """An open invoice: a usage statement that has begun, or a scheduled invoice. `id` becomes the invoice's id.

    Of a scheduled invoice the period has no end: its start is the date. `items` are the fees and charges on it.
    """

    id: UUID
    contract: Contract
    type: InvoiceType
    period: Period
    currency: str
    due_at: datetime
    ordinal: int = 0
    regeneration: int = 0
    items: Sequence[DueItem] = ()


@dataclass(slots=True)
class _Final:
    """The invoices of a contract that are final: starts of usage statements, and scheduled ones by date and unit."""

    statements: set[datetime] = field(default_factory=set)
    scheduled: dict[tuple[datetime, str], int] = field(default_factory=dict)


def usage_statement(
    contract: Contract, period: Period, *, items: Sequence[DueItem] = (), regeneration: int = 0
) -> Statement:
    """The statement of one period, with the id that is derived from it."""
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.USAGE,
        starting_at=period.starting_at,
        regeneration=regeneration,
    )
    due = due_at(period, timedelta(hours=contract.grace_hours))
    return Statement(identifier, contract, InvoiceType.USAGE, period, contract.currency, due, 0, regeneration, items)


def scheduled_invoice(
    contract: Contract, date: ScheduledDate, *, items: Sequence[DueItem], regeneration: int = 0
) -> Statement:
    """The scheduled invoice of one instant and unit, with the id that is derived from them."""
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.SCHEDULED,
        starting_at=date.at,
        regeneration=regeneration,
        unit=date.unit,
        ordinal=date.ordinal,
    )
    due = scheduled_due_at(date.at, created_at=contract.created_at)
    return Statement(
        identifier, contract, InvoiceType.SCHEDULED, Period(date.at), date.unit, due, date.ordinal, regeneration,
        items,
    )  # fmt: skip


async def open_statements(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The open invoices of these contracts, in the order in which they become final (golden decision 25).

    By due time, scheduled before usage, then the contracts' priority, start and id.
    """
    running = [contract for contract in contracts if contract.archived_at is None]
    final = await _final(session, [contract.id for contract in running])
    terms = await _terms_with_fees(session, running)
    found: list[Statement] = []
    for contract in running:
        done = final.get(contract.id, _Final())
        periods = list(statement_periods(schedule_of(contract), contract=contract_period(contract), begun_by=now))
        placed = Placed()
        if contract.id in terms:
            placed = _placed(terms[contract.id], periods, done, now=now)
        found += [
            usage_statement(contract, period, items=placed.on_statements.get(period.starting_at, ()))
            for period in periods
            if period.starting_at not in done.statements
        ]
        found += [scheduled_invoice(contract, date, items=items) for date, items in placed.alone.items()]
    return sorted(found, key=order_of)


def order_of(item: Statement) -> tuple[object, ...]:
    """What open invoices are sorted by."""
    contract = item.contract
    is_usage = item.type is InvoiceType.USAGE
    place_of = (contract.priority, contract.starting_at, contract.id)
    return item.due_at, is_usage, *place_of, item.period.starting_at, item.currency, item.ordinal


def _placed(terms: Terms, periods: Sequence[Period], done: _Final, *, now: datetime) -> Placed:
    """The fees and charges of a contract on its open invoices, those on statements that end later among them."""
    ends = [period.ending_before for period in periods if period.ending_before is not None]
    items = items_due(terms, until=max([now, *(end + DAY for end in ends[-1:])]))
    return place(
        items,
        unit=terms.unit.code,
        statements=periods,
        final=done.statements,
        waiting=(),
        scheduled=done.scheduled,
        now=now,
    )


async def _terms_with_fees(session: AsyncSession, contracts: Sequence[Contract]) -> dict[UUID, Terms]:
    """The terms of those contracts that charge anything beside usage."""
    found = await contracts_with_fees(session, [contract.id for contract in contracts])
    if not found:
        return {}
    return await terms_of_contracts(session, [contract for contract in contracts if contract.id in found])


async def _final(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, _Final]:
    rows = await session.execute(select(*FINAL).where(INVOICES.contract_id.in_(contract_ids)))
    found: dict[UUID, _Final] = {}
    for contract_id, kind, starting_at, currency, ordinal in rows:
        done = found.setdefault(contract_id, _Final())
        if kind == InvoiceType.USAGE:
            done.statements.add(starting_at)
        else:
            date = (starting_at, currency)
            done.scheduled[date] = max(done.scheduled.get(date, 0), ordinal + 1)
    return found
