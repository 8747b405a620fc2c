"""Finds open invoices: by id, and of all contracts for a billing run.

Owns the way from an id to a draft, and that a mistake about one contract hides no other. Which invoices of a contract are
open is told by `open.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import and_, col, or_, select

from app.contracts.recurring_children import make_children
from app.contracts.tables import Contract
from app.core.grants import GrantType
from app.grants.child_access import IS_EVER_SHARED
from app.grants.rollovers import make_rollovers
from app.grants.tables import GrantRow
from app.invoices.open import open_statements
from app.invoices.statements import Statement, order_of
from app.store.arrays import among

log = structlog.get_logger("metrograph.invoices")


async def find_draft(session: AsyncSession, identifier: UUID, *, now: datetime) -> Statement | None:
    """The open invoice with this id."""
    return (await find_drafts(session, [identifier], now=now)).get(identifier)


async def find_drafts(
    session: AsyncSession, identifiers: Collection[UUID], *, now: datetime, customer_id: UUID | None = None
) -> dict[UUID, Statement]:
    """The open invoices among these ids, of one customer or of all.

    Ids of drafts are derived and stored nowhere, so the open invoices are looked through.
    """
    found = await open_statements(session, await running_contracts(session, customer_id=customer_id), now=now)
    return {statement.id: statement for statement in found if statement.id in identifiers}


async def open_of_customers(session: AsyncSession, customer_ids: Collection[UUID], *, now: datetime) -> list[Statement]:
    """The open invoices of all contracts of some customers, in the order in which they become final."""
    return await open_statements(session, await contracts_of(session, customer_ids), now=now)


async def make_children_of(session: AsyncSession, *customer_ids: UUID, now: datetime) -> None:
    """Make what began by now, for all contracts of customers whose locks are held: children, and what rolls over."""
    await make_children(session, await contracts_of(session, customer_ids), now=now)
    await make_rollovers(session, *customer_ids, now=now)


async def contracts_of(session: AsyncSession, customer_ids: Collection[UUID]) -> Sequence[Contract]:
    """The contracts of some customers that still make invoices, by id."""
    contracts = select(Contract).where(
        among(col(Contract.customer_id), customer_ids), col(Contract.archived_at).is_(None)
    )
    return (await session.execute(contracts.order_by(col(Contract.id)))).scalars().all()


async def running_contracts(session: AsyncSession, *, customer_id: UUID | None = None) -> Sequence[Contract]:
    """The contracts, of one customer or of all, that still make invoices, by id."""
    contracts = select(Contract).where(col(Contract.archived_at).is_(None)).order_by(col(Contract.id))
    if customer_id is not None:
        contracts = contracts.where(col(Contract.customer_id) == customer_id)
    return (await session.execute(contracts)).scalars().all()


async def open_or_broken(
    session: AsyncSession, contracts: Sequence[Contract], *, now: datetime
) -> tuple[list[Statement], list[UUID]]:
    """The open invoices of these contracts, and the contracts about which we made a mistake: none stops the others."""
    try:
        return await open_statements(session, contracts, now=now), []
    except (ValueError, AssertionError):
        log.exception("open invoices not listed together; each contract is looked at alone")
    found: list[Statement] = []
    broken: list[UUID] = []
    for contract in contracts:
        try:
            found += await open_statements(session, [contract], now=now)
        except (ValueError, AssertionError):
            broken.append(contract.id)
    return sorted(found, key=order_of), broken


async def contracts_with_shared_commits(session: AsyncSession, contract_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the contracts on which a postpaid commit is billed that other contracts count towards, by id.

    It is one of a customer's own, or one that children draw on.
    """
    rows = await session.execute(
        select(GrantRow.invoice_contract_id, GrantRow.contract_id)
        .where(
            GrantRow.type == GrantType.POSTPAID,
            or_(
                among(col(GrantRow.invoice_contract_id), contract_ids),
                and_(among(col(GrantRow.contract_id), contract_ids), IS_EVER_SHARED),
            ),
        )
        .distinct()
    )
    return sorted({billed_on or own for billed_on, own in rows if billed_on or own})
