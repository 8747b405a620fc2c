"""Subscriptions, changed after they were made: their name, and when they end.

Owns those two; quantities are in `quantities.py`, seats in `seats.py`. What is final of a subscription stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import hour_of, name_of
from app.contracts.changing import Changeable, balances_follow, changeable_subscription
from app.errors import ErrorCode, InvalidInput, InvalidState


async def update_subscription(
    session: AsyncSession, subscription_id: UUID, changes: Mapping[str, Any], *, now: datetime
) -> None:
    """Change the name or the end; `changes` has `name` and `ending_before`, and what it lacks stays.

    Without an end it ends with the contract. Errors: `NotFound`, ARCHIVED, REQUIRED, INVALID, NOT_HOUR_ALIGNED,
    INVALID_INTERVAL, ALREADY_FINALIZED for an end before a period whose fee is final.
    """
    found = await changeable_subscription(session, subscription_id)
    if not changes:
        raise InvalidInput(ErrorCode.REQUIRED, "Name something to change of the subscription.", path=("input",))
    if "name" in changes:
        name = changes["name"]
        found.row.name = None if name is None else name_of(name, path=("input", "name"))
    if "ending_before" in changes:
        _move_end(found, changes["ending_before"])
    await session.flush()
    await balances_follow(session, found.contract, now=now)


def _move_end(found: Changeable, ending_before: datetime | None) -> None:
    path = ("input", "endingBefore")
    end = None if ending_before is None else hour_of(ending_before, path=path)
    if end is not None and end <= found.row.starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The subscription starts at {found.row.starting_at.isoformat()}; write an hour after that.",
            path=path,
        )
    final = [item.key.at for item in found.billed if item.key.source_id == found.row.id]
    if end is not None and final and end <= max(final):
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"The fee from {max(final).isoformat()} on is final; write an hour after that, or void its invoice first.",
            path=path,
        )
    found.row.ending_before = end
