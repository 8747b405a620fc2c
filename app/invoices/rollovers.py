"""Renewals whose books are not posted yet, and what would roll over if open statements became final as they are.

Owns that view; amounts are worked out in the grants slice, and `settling.py` posts them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract, TransitionRow
from app.core.grants import Segment
from app.core.invoice import InvoiceType
from app.core.ledger import Movement, TransferKind
from app.grants.followed import unsettled
from app.grants.reading import StoredGrant
from app.grants.rolling import rollovers
from app.invoices.statements import Statement, order_of


@dataclass(slots=True)
class Renewals:
    """The renewals of some customers whose books are not posted yet: new contracts and how each came about, oldest first."""

    waiting: list[tuple[TransitionRow, Contract]] = field(default_factory=list[tuple[TransitionRow, Contract]])

    @classmethod
    async def of(cls, session: AsyncSession, *customer_ids: UUID, now: datetime) -> Renewals:
        """Those that took effect by now."""
        found = await unsettled(session, customer_ids, now=now)
        return cls([(row, await session.get_one(Contract, row.contract_id)) for row in found])

    def of_customers(self, customer_ids: Collection[UUID]) -> Renewals:
        """Those of some of the customers alone."""
        return Renewals([item for item in self.waiting if item[1].customer_id in customer_ids])

    def predecessors(self, contract_id: UUID) -> list[UUID]:
        """The contracts of which something may roll into this one, through others too; oldest first."""
        found: list[UUID] = []
        for row, contract in reversed(self.waiting):
            if contract.id in (contract_id, *found):
                found.append(row.from_id)
        return found[::-1]

    def known_before(
        self, statement: Statement | None, open_ones: Sequence[Statement]
    ) -> list[tuple[TransitionRow, Contract]]:
        """Those whose old contract has no usage statement left from `statement` on (None: at all); each is told once."""
        known: list[tuple[TransitionRow, Contract]] = []
        late: set[UUID] = set()
        for row, contract in self.waiting:
            if row.from_id in late or any(_holds_up(item, row, statement) for item in open_ones):
                late.add(contract.id)
            else:
                known.append((row, contract))
        self.waiting = [item for item in self.waiting if item[1].id in late]
        return known


def _holds_up(item: Statement, row: TransitionRow, statement: Statement | None) -> bool:
    """Whether an open invoice of the old contract comes no earlier than another invoice."""
    if not counts_before(item, row):
        return False
    return statement is not None and order_of(item) >= order_of(statement)


def counts_before(item: Statement, row: TransitionRow) -> bool:
    """Whether an open invoice may still take what would roll over: a statement of the old contract, or of a child of it."""
    if item.type is not InvoiceType.USAGE:
        return False
    is_of_child = item.contract.parent_id == row.from_id and item.period.starting_at < row.at
    return item.contract.id == row.from_id or is_of_child


def provisional(
    row: TransitionRow, contract: Contract, grants: dict[UUID, StoredGrant], moved: dict[UUID, list[Movement]]
) -> set[UUID]:
    """Let the balances of a renewal have what would roll into them; returns which have something now."""
    found = rollovers(contract, grants, moved)
    for item in found:
        target = item.target
        grant = replace(target.grant, segments=(Segment(0, item.access, item.amount),))
        grants[target.row.id] = replace(target, grant=grant)
        out = Movement(
            TransferKind.ROLLOVER, item.source.number, -item.amount, row.at, contract_id=contract.id, is_draft=True
        )
        moved[item.source.grant_id].append(out)
    return {item.target.row.id for item in found}
