"""Balances that come over from an earlier contract: their rows.

Owns which there are: each from the hour on in which the new contract starts, and without an amount. What rolls into it is
worked out and posted by `rolling.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import TransitionRow
from app.core.hierarchy import ChildAccess, sharing_at
from app.core.money import ZERO
from app.core.rollover import may_roll
from app.grants.child_access import changes_of, sharing_of
from app.grants.followed import unsettled
from app.grants.reading import stored_grants
from app.grants.tables import GrantRow


async def make_rollovers(session: AsyncSession, *customer_ids: UUID, now: datetime) -> list[GrantRow]:
    """The balances into which something may roll by now and that are not there yet; the caller holds the locks."""
    made: list[GrantRow] = []
    for transition in await unsettled(session, customer_ids, now=now):
        there = await session.execute(
            select(GrantRow.rolled_from_id, GrantRow.rolled_from_segment).where(
                GrantRow.contract_id == transition.contract_id, col(GrantRow.rolled_from_id).is_not(None)
            )
        )
        known = {(grant_id, number) for grant_id, number in there}
        rows = await session.execute(
            select(GrantRow)
            .where(
                GrantRow.contract_id == transition.from_id,
                col(GrantRow.rollover_fraction) > ZERO,
                col(GrantRow.archived_at).is_(None),
            )
            .order_by(col(GrantRow.id))
        )
        for item in await stored_grants(session, rows.scalars().all()):
            numbers = [segment.number for segment in item.grant.segments if may_roll(segment, at=transition.at)]
            if item.row.rolled_from_id is not None and not item.grant.segments:
                numbers = [0]  # It has no amount yet itself.
            fresh = [number for number in numbers if (item.row.id, number) not in known]
            made += [_empty(item.row, number, transition) for number in fresh]
    session.add_all(made)
    await session.flush()
    return made


def _empty(source: GrantRow, segment: int, transition: TransitionRow) -> GrantRow:
    """The balance that a segment rolls into: like its source, of the new contract, and never bought."""
    access = sharing_at(sharing_of(source), changes_of(source), transition.at.astimezone(UTC)).access
    return GrantRow(
        created_at=transition.at,
        customer_id=source.customer_id,
        contract_id=transition.contract_id,
        type=source.type,
        product_id=source.product_id,
        name=source.name,
        description=source.description,
        unit=source.unit,
        priority=source.priority,
        product_ids=source.product_ids,
        tags=source.tags,
        specifiers=source.specifiers,
        rate_type=source.rate_type,
        rollover_fraction=source.rollover_fraction,
        trueup_disabled=source.trueup_disabled,
        # Children that were named are those of the old contract; nobody said which of the new one may draw on it.
        child_access=ChildAccess.ALL if access is ChildAccess.ALL else None,
        rolled_from_id=source.id,
        rolled_from_segment=segment,
    )
