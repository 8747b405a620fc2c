"""Rows to balances: commits and credits as the core reads them, with everything that moved in their books.

Owns the only mapping of its kind. Draws of drafts are not stored and are added above.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.contracts.tables import Contract
from app.core import money, overrides, period
from app.core.grants import GateStatus, Grant, GrantType, Segment
from app.core.ledger import Movement
from app.core.terms import RateTarget
from app.grants import child_access, definitions, entries, followed
from app.grants.tables import GrantRow
from app.store.arrays import among


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A commit or credit: its row, what the core reads of it, and its stored movements in the order of their making.

    Where it was read for sums there is one movement for each segment and kind.
    """

    row: GrantRow
    grant: Grant
    movements: tuple[Movement, ...]

    def may_serve(self, contract: Contract) -> bool:
        """Whether it may pay for a contract, as far as its scope of contracts goes: its own, or a child that it reaches.

        One that is archived or still to be paid pays nothing.
        """
        if self.row.archived_at is not None or not self.grant.is_released:
            return False
        if self.row.contract_id is not None:
            return self.access_of(contract) != ()
        is_named = not self.row.contract_ids or str(contract.id) in self.row.contract_ids
        return self.row.customer_id == contract.customer_id and is_named

    def access_of(self, contract: Contract) -> tuple[period.Period, ...] | None:
        """When a contract may draw on it, as far as that changes over time; None is always."""
        if self.row.contract_id in (None, contract.id):
            return None
        return child_access.access_of(self.row, contract)


async def grants_of_customer(session: AsyncSession, customer_id: UUID) -> list[StoredGrant]:
    """All commits and credits of a customer, its contracts' included; by id."""
    return await stored_grants(session, await rows_of_customer(session, customer_id))


async def grants_of_customers(
    session: AsyncSession, customer_ids: Collection[UUID], *, for_sums: bool = False
) -> list[StoredGrant]:
    """Those of several customers; by id."""
    rows = await session.execute(
        select(GrantRow).where(among(col(GrantRow.customer_id), customer_ids)).order_by(col(GrantRow.id))
    )
    return await stored_grants(session, rows.scalars().all(), for_sums=for_sums)


async def grants_in_reach(session: AsyncSession, contract: Contract) -> list[StoredGrant]:
    """Those of the contract's customer, and those of its parent; by id. Which of them serve it is asked of each."""
    rows = await session.execute(
        select(GrantRow)
        .where(or_(col(GrantRow.customer_id) == contract.customer_id, col(GrantRow.contract_id) == contract.parent_id))
        .order_by(col(GrantRow.id))
    )
    return await stored_grants(session, rows.scalars().all())


async def grants_with_ids(session: AsyncSession, ids: Collection[UUID]) -> list[StoredGrant]:
    """Those with these ids, whosever they are; by id."""
    rows = await session.execute(select(GrantRow).where(among(col(GrantRow.id), ids)).order_by(col(GrantRow.id)))
    return await stored_grants(session, rows.scalars().all())


async def rows_of_customer(session: AsyncSession, customer_id: UUID) -> list[GrantRow]:
    """The commits and credits of a customer, its contracts' included, by id."""
    rows = await session.execute(select(GrantRow).where(GrantRow.customer_id == customer_id).order_by(col(GrantRow.id)))
    return list(rows.scalars())


async def stored_grants(
    session: AsyncSession, rows: Sequence[GrantRow], *, for_sums: bool = False
) -> list[StoredGrant]:
    """The rows with their segments and movements, in the order given."""
    if not rows:
        return []  # Most customers have none, and are asked about often.
    ids = [row.id for row in rows]
    segments = await entries.segments_of(session, ids)
    moved = await (entries.sums_of if for_sums else entries.movements_of)(session, ids)
    closes = await followed.closings(session, rows)
    return [
        StoredGrant(
            row,
            grant_of(row, segments[row.id], closes_at=closes.get(row.id)),
            # What moved in a segment that was removed counts no more, and neither does the segment.
            entries.live_movements(segments[row.id], moved[row.id]),
        )
        for row in rows
    ]


def grant_of(row: GrantRow, segments: Sequence[Segment], *, closes_at: datetime | None = None) -> Grant:
    """A commit or credit as the core reads it; `closes_at` is when it is over before its segments are."""
    return Grant(
        id=row.id,
        type=GrantType(row.type),
        unit=row.unit,
        segments=tuple(segments),
        created_at=_utc(row.created_at),
        priority=row.priority,
        product_ids=tuple(UUID(item) for item in row.product_ids),
        tags=tuple(row.tags),
        specifiers=tuple(overrides.specifier_from_json(item) for item in row.specifiers),
        contract_count=child_access.contract_count(row),
        rate_type=RateTarget(row.rate_type),
        recurring_id=row.recurring_id,
        is_free=not amount_paid(row),
        is_rollover=row.rolled_from_id is not None,
        is_refund=row.is_refund,
        seat=None if row.seat_key is None or row.seat_id is None else (row.seat_key, row.seat_id),
        closes_at=closes_at,
        gate=gate_of(row),
    )


def gate_of(row: GrantRow) -> GateStatus | None:
    """Where the payment stands for which a commit waits; None for one that waits for none."""
    return None if row.gate is None else GateStatus(row.gate_outcome or GateStatus.PENDING)


def amount_paid(row: GrantRow) -> Decimal:
    """What is paid for it in all, whether it is invoiced or only recorded; zero for a gift."""
    items = () if row.invoice is None else definitions.payment_from_json(row.invoice).items(row.unit)
    with money.exact():
        return sum((definitions.amount_of(item) for item in items), money.ZERO)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
