"""Finds how far events have come: what is final of their time, what is open, and what was reversed.

Owns the finding, by the rules of those who act on it: what is PENDING is taken back by `usage_voids.py`, what is BILLABLE by
`reversing.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.contracts.tables import Contract
from app.contracts.terms import contract_period
from app.core.invoice import InvoiceType
from app.invoices import finding, tables
from app.invoices.books import period_of
from app.invoices.statements import Statement
from app.store.arrays import among
from app.usage.event_states import AskedEvent, EventState, Standing


async def final_statements(
    session: AsyncSession, customer_ids: Collection[UUID], *, since: datetime, until: datetime
) -> Sequence[tables.Invoice]:
    """The final statements of some customers that have an instant from `since` to `until`, both included; by start and id."""
    found = await session.scalars(
        select(tables.Invoice)
        .where(
            among(col(tables.Invoice.customer_id), customer_ids),
            tables.Invoice.type == InvoiceType.USAGE,
            col(tables.Invoice.starting_at) <= until,
            or_(col(tables.Invoice.ending_before).is_(None), col(tables.Invoice.ending_before) > since),
            ~tables.IS_VOID,
        )
        .order_by(col(tables.Invoice.starting_at), col(tables.Invoice.id))
    )
    return found.all()


async def standings_of(session: AsyncSession, asked: Sequence[AskedEvent], *, now: datetime) -> list[Standing]:
    """The standing of each event, in the order asked; at least one is.

    A statement of any contract of the customer whose period an event lies in decides, also where a usage filter leaves it to
    another contract.
    """
    customers = sorted({item.customer_id for item in asked if item.customer_id is not None})
    reversed_ones = set(
        await session.scalars(
            select(tables.OutcomeReversal.event_id).where(
                among(col(tables.OutcomeReversal.event_id), [item.event_id for item in asked])
            )
        )
    )
    times = [item.at for item in asked]
    billed: dict[UUID, list[tables.Invoice]] = {}
    for invoice in await final_statements(session, customers, since=min(times), until=max(times)):
        billed.setdefault(invoice.customer_id, []).append(invoice)
    open_ones = await finding.open_of_customers(session, customers, now=now)
    contracts = await finding.contracts_of(session, customers)

    def standing(item: AskedEvent) -> Standing:
        if item.is_voided:
            return Standing(EventState.VOIDED)
        if item.event_id in reversed_ones:
            return Standing(EventState.REVERSED)
        if item.customer_id is not None and any(
            period_of(invoice).contains(item.at) for invoice in billed.get(item.customer_id, ())
        ):
            return Standing(EventState.BILLABLE)
        dues = [found.due_at for found in open_ones if _is_of(found, item)]
        if dues or any(_runs(contract, item) for contract in contracts):
            return Standing(EventState.PENDING, min(dues, default=None))
        return Standing(EventState.UNCLAIMED)

    return [standing(item) for item in asked]


def _is_of(statement: Statement, item: AskedEvent) -> bool:
    is_usage = statement.type is InvoiceType.USAGE and statement.contract.customer_id == item.customer_id
    return is_usage and statement.period.contains(item.at)


def _runs(contract: Contract, item: AskedEvent) -> bool:
    return contract.customer_id == item.customer_id and contract_period(contract).contains(item.at)
