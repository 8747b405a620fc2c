"""What a worker takes of a billing run at once, and what it notes when that is done.

Owns the choice: open contracts in their order, no two of customers of one family, since what becomes final of one may
decide what another says. Taken ones are locked to the end of the transaction, so that any number of workers share a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.contracts.family import families_of
from app.contracts.tables import Contract
from app.invoices.tables import BillingRunContract, BillingRunInvoice, Invoice
from app.store.arrays import among
from app.store.bulk import insert_rows


class Claim(NamedTuple):
    """A contract of a run, and its position there."""

    position: int
    contract_id: UUID


async def claim(session: AsyncSession, run_id: UUID, *, after: int, at_most: int) -> list[Claim]:
    """The next open contracts behind a position, locked to the end of the transaction; none when there is none.

    Those that others are at are passed over. Contracts that come again are open when all others are done.
    """
    first = aliased(BillingRunContract)
    is_first_open = (
        select(col(first.run_id))
        .where(col(first.run_id) == run_id, col(first.done_at).is_(None), col(first.is_second).is_(False))
        .exists()
    )
    found = await session.execute(
        select(col(BillingRunContract.position), col(BillingRunContract.contract_id))
        .where(
            col(BillingRunContract.run_id) == run_id,
            col(BillingRunContract.done_at).is_(None),
            col(BillingRunContract.position) > after,
            or_(col(BillingRunContract.is_second).is_(False), ~is_first_open),
        )
        .order_by(col(BillingRunContract.position))
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return [Claim(position, contract_id) for position, contract_id in found]


async def note_done(
    session: AsyncSession, run_id: UUID, done: Sequence[Claim], invoices: Sequence[Invoice], *, now: datetime
) -> None:
    """Contracts are done with the transaction, which makes these invoices."""
    await insert_rows(
        session, BillingRunInvoice, [{"invoice_id": invoice.id, "run_id": run_id} for invoice in invoices]
    )
    await session.execute(
        update(BillingRunContract)
        .where(
            col(BillingRunContract.run_id) == run_id,
            among(col(BillingRunContract.position), [item.position for item in done]),
        )
        .values(done_at=now)
    )


async def one_of_each_family(session: AsyncSession, claimed: Sequence[Claim]) -> list[Claim]:
    """The first contract of each family of customers: what becomes final of it may decide what the next one says."""
    rows = await session.execute(
        select(col(Contract.id), col(Contract.customer_id)).where(
            among(col(Contract.id), [item.contract_id for item in claimed])
        )
    )
    owner = {contract_id: customer_id for contract_id, customer_id in rows}  # noqa: C416
    family_of = await families_of(session, set(owner.values()))
    first: dict[UUID, Claim] = {}
    for item in claimed:
        first.setdefault(family_of[owner[item.contract_id]], item)
    return list(first.values())


async def note_failure(
    session: AsyncSession, run_id: UUID, position: int, *, code: str, message: str, now: datetime
) -> None:
    """A contract is done for this run, and its invoices are not made."""
    await session.execute(
        update(BillingRunContract)
        .where(
            col(BillingRunContract.run_id) == run_id,
            col(BillingRunContract.position) == position,
            col(BillingRunContract.done_at).is_(None),
        )
        .values(done_at=now, failure_code=code, failure=message)
    )
