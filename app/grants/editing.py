"""Commits and credits, changed after they were made.

Owns what an edit makes of a balance, and its writing. Whether final invoices stand in its way is decided above, in the
invoices slice, between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path
from app.grants import sharing_changes
from app.grants.definitions import NewGrant, check_grant
from app.grants.reading import StoredGrant
from app.grants.references import check_references
from app.grants.rows import definition_of, rewrite_segments, row_of
from app.grants.segments import EditedSegments, SegmentEdits, edited_segments
from app.grants.shown import KINDS, shown
from app.grants.tables import GrantRow


@dataclass(frozen=True, slots=True)
class GrantEdit:
    """What an edit changes: `terms` are fields of `NewGrant` by name, `access` its segments, `sharing` who may draw on it
    from an instant on. What is not named stays.
    """

    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    access: SegmentEdits = field(default_factory=SegmentEdits)
    sharing: sharing_changes.SharingEdit | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """A balance and what an edit would make of it, checked and not written yet."""

    before: StoredGrant
    entry: NewGrant
    segments: EditedSegments
    sharing: sharing_changes.AccessChange | None = None


async def edited(session: AsyncSession, item: StoredGrant, edit: GrantEdit, *, path: Path, now: datetime) -> Edited:
    """What an edit makes of a balance. Errors: those of `check_grant`, `check_references`, `edited_segments` and `changed_sharing`."""
    segments = edited_segments(item.grant.segments, edit.access, path=(*path, "access"))
    entry = replace(definition_of(item), segments=segments.all, **edit.terms)
    check_grant(entry, of_customer=item.row.contract_id is None, path=path)
    await check_references(session, item.row.customer_id, entry, path=path)
    change = None
    if edit.sharing is not None:
        change = await sharing_changes.changed_sharing(
            session, item.row, edit.sharing, path=(*path, "childAccess"), now=now
        )
    return Edited(item, entry, segments, change)


async def write(session: AsyncSession, found: Edited, *, now: datetime) -> GrantRow:
    """Store an edit; drafts follow at once, what is final stays."""
    row, entry = found.before.row, found.entry
    before = shown(row) | {"segments": _segments_shown(definition_of(found.before))}
    fresh = row_of(entry, row.customer_id, None, now=now)
    for name in (
        "product_id", "name", "description", "priority", "product_ids", "tags", "specifiers", "contract_ids",
        "invoice_contract_id", "rate_type", "rollover_fraction", "invoice", "trueup_disabled",
    ):  # fmt: skip
        setattr(row, name, getattr(fresh, name))
    if found.sharing is not None:
        sharing_changes.keep_change(row, found.sharing)
    row.revision += 1
    await rewrite_segments(session, row.id, found.segments, now=now)
    await session.flush()
    note_change(
        session, KINDS[row.type], row.id, before=before, after=shown(row) | {"segments": _segments_shown(entry)}
    )
    return row


def _segments_shown(entry: NewGrant) -> list[dict[str, object]]:
    return [
        {
            "amount": item.amount, "startingAt": item.starting_at.isoformat(),
            "endingBefore": item.ending_before.isoformat(),
        }
        for item in entry.segments
    ]  # fmt: skip
