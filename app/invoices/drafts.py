"""Drafts: what an invoice would say now. A view, computed on each read and never stored.

Owns the way from a contract and a period to a rated draft; finalization uses the same function, so a draft shows what
the final invoice will say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of, terms_of
from app.core.invoice import Draft, InvoiceType, assemble, due_at, invoice_id
from app.core.metering import HourQuantity
from app.core.period import Period, statement_periods
from app.core.rating import Unrated, UsageKey, rate_statement
from app.core.terms import Terms
from app.invoices.tables import Invoice
from app.usage.reading import HoursReader, hours_of_metric, usage_of_products


@dataclass(frozen=True, slots=True)
class Statement:
    """A usage statement of a contract that has begun and is not final. `id` becomes the invoice's id."""

    id: UUID
    contract: Contract
    period: Period
    due_at: datetime


@dataclass(frozen=True, slots=True)
class RatedStatement:
    """A statement with its lines: the draft, the inputs that made it, and usage that has no price."""

    statement: Statement
    draft: Draft
    unrated: Sequence[Unrated]
    terms: Terms
    usage: dict[UsageKey, list[HourQuantity]]

    @property
    def id(self) -> UUID:
        """The id that the invoice will have."""
        return self.statement.id

    @property
    def customer_id(self) -> UUID:
        """Whose statement it is."""
        return self.statement.contract.customer_id

    @property
    def contract_id(self) -> UUID:
        """The contract that it bills."""
        return self.statement.contract.id


def statement_of(contract: Contract, period: Period, *, regeneration: int = 0) -> Statement:
    """The statement of one period, with the id that is derived from it."""
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.USAGE,
        starting_at=period.starting_at,
        regeneration=regeneration,
    )
    return Statement(identifier, contract, period, due_at(period, timedelta(hours=contract.grace_hours)))


async def open_statements(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The statements of these contracts that have begun by now and are not final; by due time, then contract, start."""
    final = await _finalized_starts(session, [contract.id for contract in contracts])
    found = [
        statement_of(contract, period)
        for contract in contracts
        if contract.archived_at is None
        for period in statement_periods(schedule_of(contract), contract=contract_period(contract), begun_by=now)
        if period.starting_at not in final.get(contract.id, ())
    ]
    return sorted(found, key=lambda item: (item.due_at, item.contract.id, item.period.starting_at))


async def rate(session: AsyncSession, statement: Statement, *, hours: HoursReader = hours_of_metric) -> RatedStatement:
    """Rate a statement from the usage in sight, or from what a preview reads in its place."""
    terms = await terms_of(session, statement.contract)
    usage = await usage_of_products(
        session,
        customer_id=statement.contract.customer_id,
        products=terms.products,
        period=statement.period,
        filters=terms.usage_filters,
        hours=hours,
    )
    rating = rate_statement(terms, statement.period, usage)
    return RatedStatement(statement, assemble(rating.lines, terms.unit), rating.unrated, terms, usage)


async def find_draft(session: AsyncSession, identifier: UUID, *, now: datetime) -> Statement | None:
    """The open statement with this id."""
    return (await find_drafts(session, [identifier], now=now)).get(identifier)


async def find_drafts(
    session: AsyncSession, identifiers: Collection[UUID], *, now: datetime, customer_id: UUID | None = None
) -> dict[UUID, Statement]:
    """The open statements among these ids, of one customer or of all.

    Ids of drafts are derived and stored nowhere, so the open statements are looked through.
    """
    found = await open_statements(session, await running_contracts(session, customer_id=customer_id), now=now)
    return {statement.id: statement for statement in found if statement.id in identifiers}


async def running_contracts(session: AsyncSession, *, customer_id: UUID | None = None) -> Sequence[Contract]:
    """The contracts, of one customer or of all, that still make invoices, by id."""
    contracts = select(Contract).where(col(Contract.archived_at).is_(None)).order_by(col(Contract.id))
    if customer_id is not None:
        contracts = contracts.where(Contract.customer_id == customer_id)
    return (await session.execute(contracts)).scalars().all()


async def _finalized_starts(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, set[datetime]]:
    rows = await session.execute(
        select(Invoice.contract_id, Invoice.starting_at).where(
            col(Invoice.contract_id).in_(contract_ids), Invoice.type == InvoiceType.USAGE
        )
    )
    starts: dict[UUID, set[datetime]] = {}
    for contract_id, starting_at in rows:
        starts.setdefault(contract_id, set()).add(starting_at)
    return starts
