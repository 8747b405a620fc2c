"""Recurring commits and credits, changed after they were made.

Owns that only what is still to begin follows: a child whose period has begun stays as it is (semantics 5.9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.contracts.reading import changeable_contract
from app.contracts.recurring_children import make_children
from app.contracts.recurring_rules import check_recurring
from app.contracts.recurring_terms import entry_of, recurring_shown
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.grants import child_access, sharing
from app.grants.tables import RecurringGrantRow
from app.store.ids import to_text


async def update_recurring(
    session: AsyncSession, recurring_id: UUID, changes: Mapping[str, Any], *, revision: int | None = None, now: datetime
) -> RecurringGrantRow:
    """Change what children to come bring and cost, how they are priced, or when none begins any more.

    `changes` are fields of `NewRecurringGrant` by name, `rate_type` and `sharing` those of its child; what is not
    named stays.
    Errors: `NotFound`, ARCHIVED, STALE_REVISION, INVALID_INTERVAL for one that is over, those of `check_recurring` and
    `check_sharing`.
    """
    row = await session.get(RecurringGrantRow, recurring_id)
    if row is None:
        raise NotFound("Recurring balance", to_text("recurring_grant", recurring_id), path=("id",))
    contract = await changeable_contract(session, row.contract_id)
    await session.refresh(row)
    if row.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, "The recurring balance is archived; add another one.", path=("id",), conflicting=row
        )
    if revision not in (None, row.revision):
        raise InvalidState(
            ErrorCode.STALE_REVISION,
            f"The recurring balance is at revision {row.revision}, not {revision}; read it again.",
            path=("revision",),
            conflicting=row,
        )
    # Periods that have begun are those of the terms before, also when no job has made their children yet.
    await make_children(session, [contract], now=now)
    if "ending_before" in changes and row.ending_before is not None and row.ending_before <= now:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"It ended at {row.ending_before.isoformat()}; make another one.",
            path=("input", "endingBefore"),
        )
    before, entry = recurring_shown(row), entry_of(row)
    given = dict(changes)
    of_child = {name: given.pop(name) for name in ("rate_type", "sharing") if name in given}
    entry = replace(entry, **given, child=replace(entry.child, **of_child))
    check_recurring(entry, contract, path=("input",))
    if "sharing" in of_child:
        await sharing.check_sharing(session, contract, entry.child.sharing, path=("input", "childAccess"))
        row.child_access, row.child_contract_ids = child_access.columns_of(entry.child.sharing)
    _write(row, **{name: getattr(entry, name) for name in ("access_amount", "invoice_amount", "invoice_unit")})
    row.rate_type = entry.child.rate_type
    row.ending_before = entry.ending_before
    row.revision += 1
    await session.flush()
    note_change(session, "recurring_grant", row.id, before=before, after=recurring_shown(row))
    return row


def _write(row: RecurringGrantRow, *, access_amount: Any, invoice_amount: Any, invoice_unit: str | None) -> None:
    row.access_unit_price, row.access_quantity = access_amount.unit_price, access_amount.quantity
    row.invoice_unit = invoice_unit
    row.invoice_unit_price = None if invoice_amount is None else invoice_amount.unit_price
    row.invoice_quantity = None if invoice_amount is None else invoice_amount.quantity
