"""Overrides of a contract: their rows.

Owns their way into the database; what one may say is checked by `override_rules.py`, and nothing is stored when one is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.checks import Path, at_most, distinct, interval_of, text_of
from app.contracts import override_events, override_subscriptions
from app.contracts.listed import Listed, listed_products
from app.contracts.override_rules import (
    NewOverride,
    change_of,
    check_commits,
    check_overwrite,
    check_priority,
    check_target,
)
from app.contracts.tables import Contract, OverrideRow
from app.core.overrides import specifier_to_json
from app.core.terms import OverridePriority, Overwrite
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store.ids import to_text

MAX_OVERRIDES = 500


@dataclass(frozen=True, slots=True)
class OwnPrices:
    """What a contract changes of list prices, and which of several multipliers counts."""

    overrides: Sequence[NewOverride] = ()
    priority: OverridePriority = OverridePriority.LOWEST_MULTIPLIER


async def insert_overrides(
    session: AsyncSession, contract: Contract, entries: Sequence[NewOverride], *, path: Path, now: datetime
) -> list[OverrideRow]:
    """Check and store overrides of a contract, in the order given, after those that it has.

    Errors: MULTIPLIER_NEGATIVE, OVERWRITE_NEEDS_PRODUCT, TIERED_NEEDS_EXPLICIT, PRIORITY_REQUIRED, PRODUCT_NOT_ON_CARD,
    NOT_HOUR_ALIGNED, INVALID_INTERVAL, REQUIRED, INVALID, `LimitExceeded` above 500.
    """
    if not entries:
        return []
    counted = await session.execute(
        select(func.count().filter(col(OverrideRow.removed_at).is_(None)), func.max(OverrideRow.added)).where(
            OverrideRow.contract_id == contract.id
        )
    )
    held, added = counted.one()
    at_most(range(held + len(entries)), MAX_OVERRIDES, path=path)
    await override_events.limit_events(session, contract.id, entries, path=path)
    listed = await listed_products(session, contract.rate_card_id)
    priority = OverridePriority(contract.override_priority)
    rows = [
        _row(entry, contract, listed, priority, added=(added or 0) + index + 1, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]
    session.add_all(rows)
    await session.flush()
    return rows


async def remove_overrides(
    session: AsyncSession, contract: Contract, override_ids: Sequence[UUID], *, path: Path, now: datetime
) -> None:
    """Let overrides of a contract count no more; the lines of final invoices still name them.

    Errors: `NotFound` for one that is not the contract's, or was removed before.
    """
    at_most(override_ids, MAX_OVERRIDES, path=path)
    for index, override_id in enumerate(override_ids):
        row = await session.get(OverrideRow, override_id)
        if row is None or row.contract_id != contract.id or row.removed_at is not None:
            raise NotFound("Override", to_text("override", override_id), path=(*path, str(index)))
        row.removed_at = now
    await session.flush()


def _row(
    entry: NewOverride,
    contract: Contract,
    listed: Mapping[UUID, Listed],
    priority: OverridePriority,
    *,
    added: int,
    path: Path,
    now: datetime,
) -> OverrideRow:
    change = change_of(entry, path=path)
    if change is None and entry.entitled is None:
        raise InvalidInput(ErrorCode.REQUIRED, "Name a change of price, or whether it is entitled.", path=path)
    check_target(entry, listed, path=path)
    check_commits(entry, path=path)
    override_subscriptions.check_subscriptions(entry, change, listed, path=path)
    if isinstance(change, Overwrite):
        check_overwrite(entry, listed, path=path)
    override_events.check_events(entry, change, listed, path=path)
    check_priority(entry, change, priority, path=path)
    starting_at, ending_before = interval_of(entry.starting_at, entry.ending_before, path=path)
    tags = [text_of(tag, path=(*path, "anyTags"), longest=100) for tag in entry.any_tags]
    return OverrideRow(
        id=entry.id,
        created_at=now,
        contract_id=contract.id,
        product_id=entry.product_id,
        tags=list(distinct(tags, path=(*path, "anyTags"))),
        specifiers=[specifier_to_json(specifier) for specifier in entry.specifiers],
        starting_at=starting_at,
        ending_before=ending_before,
        change=change,
        entitled=entry.entitled,
        priority=entry.priority,
        is_commit_specific=entry.is_commit_specific,
        target=entry.target,
        added=added,
    )
