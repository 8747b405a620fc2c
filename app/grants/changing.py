"""Finds commits and credits for a change, and ends them.

Owns the way to a balance's row: a change takes the customer's lock first and meets the row as it is now, and neither an
archived balance nor one that rolled over takes changes.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path
from app.errors import ErrorCode, InvalidState, NotFound
from app.grants.reading import StoredGrant, stored_grants
from app.grants.shown import KINDS
from app.grants.tables import GrantRow
from app.store.ids import to_text
from app.store.locks import lock_customer


async def locked_grant(session: AsyncSession, grant_id: UUID, *, path: Path = ("id",)) -> GrantRow:
    """The row of a balance under its customer's lock and as it is now. Errors: `NotFound`, ARCHIVED."""
    row = await session.get(GrantRow, grant_id)
    if row is None:
        raise NotFound("Balance", to_text("credit", grant_id), path=path)
    await lock_customer(session, row.customer_id)
    # Who held the lock before may have changed it meanwhile.
    await session.refresh(row)
    if row.archived_at is not None:
        raise InvalidState(ErrorCode.ARCHIVED, "The balance is archived; make another one.", path=path, conflicting=row)
    return row


async def changeable_grant(session: AsyncSession, grant_id: UUID, *, revision: int | None = None) -> StoredGrant:
    """A balance that may be edited.

    Errors: those of `locked_grant`, STALE_REVISION, ILLEGAL_TRANSITION for what rolled over from another contract.
    """
    row = await locked_grant(session, grant_id)
    if revision not in (None, row.revision):
        raise InvalidState(
            ErrorCode.STALE_REVISION,
            f"The balance is at revision {row.revision}, not {revision}; read it again.",
            path=("revision",),
            conflicting=row,
        )
    if row.rolled_from_id is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            "What rolled over from another contract cannot be edited; edit the balance from which it comes, or give another one.",
            path=("id",),
        )
    [found] = await stored_grants(session, [row])
    return found


async def archive_grant(session: AsyncSession, item: StoredGrant, *, now: datetime) -> GrantRow:
    """Let a balance pay nothing any more; its books stay."""
    row = item.row
    row.archived_at = now
    row.revision += 1
    await session.flush()
    note_change(session, KINDS[row.type], row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row
