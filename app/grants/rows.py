"""Definitions of commits and credits to rows, and back for those who change them.

Owns that mapping; as the core reads a row is told by `reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.contracts.tables import Contract
from app.core.grants import DEFAULT_PRIORITY, PaymentGate
from app.core.overrides import specifier_to_json
from app.grants.child_access import columns_of, sharing_of
from app.grants.definitions import NewGrant, NewSegment, Scope, payment_from_json, payment_to_json
from app.grants.reading import StoredGrant
from app.grants.segments import EditedSegments, segment_of
from app.grants.tables import GrantRow, SegmentRow


def row_of(entry: NewGrant, customer_id: UUID, contract: Contract | None, *, now: datetime) -> GrantRow:
    """The row of a commit or credit of a contract or, without one, of a customer."""
    scope = entry.scope
    child_access, child_contract_ids = columns_of(entry.sharing)
    return GrantRow(
        id=entry.id,
        created_at=now,
        customer_id=customer_id,
        contract_id=None if contract is None else contract.id,
        type=entry.type,
        product_id=entry.product_id,
        name=entry.name,
        description=entry.description,
        unit=entry.unit,
        priority=DEFAULT_PRIORITY if entry.priority is None else entry.priority,
        product_ids=[str(product_id) for product_id in scope.product_ids],
        tags=list(scope.tags),
        specifiers=[specifier_to_json(specifier) for specifier in scope.specifiers],
        contract_ids=[str(contract_id) for contract_id in entry.contract_ids],
        invoice_contract_id=entry.invoice_contract_id,
        rate_type=entry.rate_type,
        rollover_fraction=entry.rollover_fraction,
        invoice=None if entry.payment is None else payment_to_json(entry.payment),
        trueup_disabled=entry.trueup_disabled,
        child_access=child_access,
        child_contract_ids=child_contract_ids,
        gate=entry.gate,
        threshold_id=entry.threshold_id,
        is_refund=entry.is_refund,
        uniqueness_key=entry.uniqueness_key,
    )


def segments_of(
    grant_id: UUID, segments: Sequence[NewSegment], *, first: int = 0, now: datetime
) -> Iterable[SegmentRow]:
    """The rows of segments, numbered from `first` on in the order given."""
    for number, segment in enumerate(segments, start=first):
        yield SegmentRow(
            created_at=now,
            grant_id=grant_id,
            number=number,
            amount=segment.amount,
            starting_at=segment.starting_at,
            ending_before=segment.ending_before,
        )


async def rewrite_segments(session: AsyncSession, grant_id: UUID, found: EditedSegments, *, now: datetime) -> None:
    """Store what an edit made of the segments; one that was removed keeps its row, for the transfers that name it."""
    rows = await session.execute(select(SegmentRow).where(SegmentRow.grant_id == grant_id))
    by_number = {row.number: row for row in rows.scalars()}
    for number in found.changed:
        row, segment = by_number[number], found.kept[number]
        row.amount, row.starting_at, row.ending_before = segment.amount, segment.starting_at, segment.ending_before
    for number in found.removed:
        by_number[number].removed_at = now
    first = max(by_number, default=-1) + 1
    session.add_all(segments_of(grant_id, found.added, first=first, now=now))


def definition_of(item: StoredGrant) -> NewGrant:
    """A commit or credit as it would be defined now; its segments in the order of their numbers."""
    row, grant = item.row, item.grant
    return NewGrant(
        type=grant.type,
        segments=[segment_of(segment) for segment in grant.segments],
        id=row.id,
        product_id=row.product_id,
        name=row.name,
        description=row.description,
        unit=row.unit,
        priority=row.priority,
        scope=Scope(product_ids=grant.product_ids, tags=row.tags, specifiers=grant.specifiers),
        contract_ids=[UUID(item) for item in row.contract_ids],
        invoice_contract_id=row.invoice_contract_id,
        rate_type=grant.rate_type,
        rollover_fraction=row.rollover_fraction,
        payment=None if row.invoice is None else payment_from_json(row.invoice),
        trueup_disabled=row.trueup_disabled,
        sharing=sharing_of(row),
        gate=None if row.gate is None else PaymentGate(row.gate),
        threshold_id=row.threshold_id,
        is_refund=row.is_refund,
    )


async def count_of_contract(session: AsyncSession, contract_id: UUID) -> int:
    """How many balances a contract was given one by one.

    What recurs, rolled over or was bought at a threshold is bounded by what it came from.
    """
    found = await session.execute(
        select(func.count()).where(
            GrantRow.contract_id == contract_id,
            col(GrantRow.recurring_id).is_(None),
            col(GrantRow.rolled_from_id).is_(None),
            col(GrantRow.threshold_id).is_(None),
        )
    )
    return found.scalar_one()
