"""The end of a contract, moved: earlier, later, or away; and for good.

Owns what the contract's own terms make of it (semantics 4.2, golden decision 38). Whether final invoices stand in the way
is decided above, in the invoices slice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.change import note_change
from app.checks import hour_of
from app.contracts import family, fees
from app.contracts.reading import changeable_contract, shown
from app.contracts.tables import Contract, ScheduledChargeRow, SubscriptionRow
from app.contracts.transitions import refuse_followed
from app.core.scheduled import cut
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.grants.archiving import archive_of_contract
from app.grants.tables import RecurringGrantRow
from app.store.ids import to_text

PATH = ("endingBefore",)


async def move_end(session: AsyncSession, contract_id: UUID, ending_before: datetime | None) -> Contract:
    """Let a contract end at another hour; None leaves it open-ended. Holds the customer's lock.

    An earlier end cuts terms and drops what would have been charged after it. A later one lengthens the contract only:
    subscriptions, recurring terms and scheduled charges stop at the old one for good, overrides go on.
    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, INVALID_INTERVAL, ALREADY_TRANSITIONED when another follows it there.
    """
    contract = await changeable_contract(session, contract_id)
    await refuse_followed(session, contract_id, path=PATH)
    end = None if ending_before is None else hour_of(ending_before, path=PATH)
    if end is not None and end <= contract.starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The contract starts at {contract.starting_at:%Y-%m-%dT%H:%MZ}; it ends after that.",
            path=PATH,
        )
    before, old = shown(contract), contract.ending_before
    if old is not None and (end is None or end > old):
        await _stop_at(session, contract_id, old)
    contract.ending_before = end
    contract.revision += 1
    await session.flush()
    note_change(session, "contract", contract.id, before=before, after=shown(contract))
    return contract


async def archive_contract(session: AsyncSession, contract_id: UUID, *, now: datetime) -> Contract:
    """End a contract for good, with its commits and credits: its drafts disappear, its finalized invoices stay.

    Errors: `NotFound`, ARCHIVED, ILLEGAL_TRANSITION for a parent of contracts that still run.
    """
    contract = await changeable_contract(session, contract_id)
    children = await family.running_children(session, contract_id)
    if children:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"{len(children)} contracts stand under it, {to_text('contract', children[0].id)} among them; archive those first.",
            path=("id",),
            conflicting=children[0],
        )
    before = shown(contract)
    contract.archived_at = now
    await archive_of_contract(session, contract_id, now=now)
    contract.revision += 1
    await session.flush()
    note_change(session, "contract", contract.id, before=before, after=shown(contract))
    return contract


async def _stop_at(session: AsyncSession, contract_id: UUID, end: datetime) -> None:
    """Let those terms stop for good that shall not grow with the contract; one that never began ends where it starts."""
    for table in (SubscriptionRow, RecurringGrantRow):
        rows = await session.scalars(
            select(table).where(
                col(table.contract_id) == contract_id,
                or_(col(table.ending_before).is_(None), col(table.ending_before) > end),
            )
        )
        for row in rows.all():
            row.ending_before = max(end, row.starting_at)
    charges = await session.scalars(select(ScheduledChargeRow).where(ScheduledChargeRow.contract_id == contract_id))
    for row in charges.all():
        row.schedule = cut(fees.charge_of(row), end=end)
