"""What rolls over at a renewal: worked out from the books, and posted.

Owns the amounts and their transfer. Both are known when the last usage statement of the old contract is final; when that
is, is decided above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract, TransitionRow
from app.core.grants import Segment, SegmentKey
from app.core.ledger import Movement, TransferKind
from app.core.money import ZERO
from app.core.period import Period
from app.core.rollover import may_roll, rolled, rollover_access
from app.grants.reading import StoredGrant
from app.grants.tables import SegmentRow, account_of
from app.grants.transfers import transfer


@dataclass(frozen=True, slots=True)
class Rollover:
    """What one segment hands on: the amount, and the balance that takes it, usable for a time."""

    source: SegmentKey
    target: StoredGrant
    amount: Decimal
    access: Period


def rollovers(
    contract: Contract, grants: Mapping[UUID, StoredGrant], movements: Mapping[UUID, Sequence[Movement]]
) -> list[Rollover]:
    """What rolls into the balances of a new contract that have no amount yet, where anything does; by their ids.

    `movements` are all in the books of the old balances, as they are or as drafts would make them.
    """
    found: list[Rollover] = []
    for target in sorted(grants.values(), key=lambda item: item.row.id):
        row = target.row
        if row.contract_id != contract.id or row.rolled_from_id is None or target.grant.segments:
            continue
        source = grants[row.rolled_from_id]
        for segment in source.grant.segments:
            if segment.number == row.rolled_from_segment and _hands_on(source, segment, at=contract.starting_at):
                moved = movements.get(source.row.id, ())
                amount = rolled(segment, moved, fraction=source.row.rollover_fraction or ZERO)
                access = rollover_access(segment, contract=Period(contract.starting_at, contract.ending_before))
                if amount > ZERO:
                    found.append(Rollover(SegmentKey(source.row.id, segment.number), target, amount, access))
    return found


def _hands_on(source: StoredGrant, segment: Segment, *, at: datetime) -> bool:
    # What is not paid for, or not yet, is nothing to take along.
    return source.row.archived_at is None and source.grant.is_released and may_roll(segment, at=at)


def post_rollover(session: AsyncSession, found: Rollover, transition: TransitionRow, *, now: datetime) -> None:
    """Take the amount out of the old segment, and open the one that has it now: one transfer between the two."""
    end = found.access.ending_before
    assert end is not None, "what rolled over has an end"
    target = SegmentRow(
        created_at=now, grant_id=found.target.row.id, number=0, amount=found.amount,
        starting_at=found.access.starting_at, ending_before=end,
    )  # fmt: skip
    out = transfer(
        TransferKind.ROLLOVER, found.source, -found.amount, other=account_of(found.target.row.id, 0), at=transition.at,
        now=now, contract_id=transition.contract_id,
    )  # fmt: skip
    session.add_all([target, out])
