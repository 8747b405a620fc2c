"""Makes the commits and credits that recurring ones stand for, each when its period begins.

Owns which are missing. What was made is never made again and never changed by its term (golden decision 32), so it is safe
to ask at any time: at the start of every hour, and before anything of a contract becomes final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain, islice

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.checks import Path
from app.contracts.recurring_terms import definition_of, recurring_of
from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.recurring import Child, children
from app.errors import ErrorCode, LimitExceeded
from app.grants.service import insert_grant
from app.grants.tables import GrantRow, RecurringGrantRow
from app.store.engine import Store
from app.store.locks import lock_customer

MAX_BEGUN = 1_000
"""Periods that the recurring balances of one new contract may have behind them."""


async def make_children(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[GrantRow]:
    """The children whose period began by now and that are not there yet; the caller holds the customers' locks.

    One is made as of the instant at which its period began.
    """
    running = {contract.id: contract for contract in contracts if contract.archived_at is None}
    rows = await session.execute(
        select(RecurringGrantRow)
        .where(col(RecurringGrantRow.contract_id).in_(running), col(RecurringGrantRow.archived_at).is_(None))
        .order_by(col(RecurringGrantRow.id))
    )
    made: list[GrantRow] = []
    for row in rows.scalars().all():
        contract = running[row.contract_id]
        last = select(func.max(GrantRow.recurring_number)).where(GrantRow.recurring_id == row.id)
        done = (await session.execute(last)).scalar_one() or 0
        found = children(recurring_of(row), schedule_of(contract), contract=contract_period(contract), begun_by=now)
        made += [await _make(session, contract, row, child) for child in found if child.number > done]
    return made


def check_begun(rows: Sequence[RecurringGrantRow], contract: Contract, *, path: Path, now: datetime) -> None:
    """Refuse what would have to make more than 1,000 children at once, because it began so long ago."""
    period, schedule = contract_period(contract), schedule_of(contract)
    begun = chain.from_iterable(children(recurring_of(row), schedule, contract=period, begun_by=now) for row in rows)
    if len(list(islice(begun, MAX_BEGUN + 1))) > MAX_BEGUN:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"More than {MAX_BEGUN} periods have begun already; let it start later or recur less often.",
            path=path,
        )


async def make_all_children(store: Store, *, now: datetime) -> int:
    """The children of all contracts whose period began by now, customer by customer; returns how many were made."""
    async with store.transaction() as session:
        rows = await session.execute(
            select(Contract.customer_id)
            .join(RecurringGrantRow, col(RecurringGrantRow.contract_id) == Contract.id)
            .where(col(RecurringGrantRow.archived_at).is_(None), col(Contract.archived_at).is_(None))
            .distinct()
        )
        customers = sorted(rows.scalars())
    made = 0
    for customer_id in customers:
        async with store.transaction() as session:
            await lock_customer(session, customer_id)
            contracts = await session.execute(select(Contract).where(Contract.customer_id == customer_id))
            made += len(await make_children(session, contracts.scalars().all(), now=now))
    return made


async def _make(session: AsyncSession, contract: Contract, row: RecurringGrantRow, child: Child) -> GrantRow:
    path = ("recurringBalances", str(child.number))
    entry = definition_of(row, child)
    made = await insert_grant(session, contract.customer_id, contract, entry, path=path, now=child.access.starting_at)
    made.recurring_id, made.recurring_number = row.id, child.number
    await session.flush()
    return made
