"""Makes one commit or credit that a recurring one stands for.

Owns how its row says where it comes from; which are missing is told by `recurring_children.py` and `linked_children.py`.
"""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.recurring_terms import definition_of
from app.contracts.tables import Contract
from app.core.recurring import Child
from app.custom_fields.service import take_over
from app.grants.service import insert_grant
from app.grants.tables import GrantRow, RecurringGrantRow


async def make_child(
    session: AsyncSession,
    contract: Contract,
    row: RecurringGrantRow,
    child: Child,
    *,
    seat: tuple[str | None, str] | None = None,
    unit_amount: Decimal | None = None,
) -> GrantRow:
    """Store a child as of the instant at which its access begins; `seat` is the key and id of the one seat that has it."""
    path = ("recurringBalances", str(child.number))
    entry = definition_of(row, child)
    made = await insert_grant(session, contract.customer_id, contract, entry, path=path, now=child.access.starting_at)
    made.recurring_id, made.recurring_number = row.id, child.number
    made.unit_amount = unit_amount
    if seat is not None:
        made.seat_key, made.seat_id = seat
    await session.flush()
    await take_over(session, row.id, made.id)
    return made
