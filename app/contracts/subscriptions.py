"""Subscriptions of a contract: their rows.

Owns their way into the database; what one may say is checked by `subscription_rules.py`, and how its quantity changes is
in `quantities.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.change import note_change
from app.checks import Path, at_most
from app.contracts.reading import changeable_contract
from app.contracts.subscription_rules import NewSubscription, check_product, row_of
from app.contracts.tables import Contract, SubscriptionRow
from app.core.money import canonical
from app.custom_fields.service import insert_custom_fields
from app.store.ids import to_text
from app.store.unique import once

MAX_SUBSCRIPTIONS = 500


async def insert_subscriptions(
    session: AsyncSession, contract: Contract, entries: Sequence[NewSubscription], *, path: Path | None, now: datetime
) -> list[SubscriptionRow]:
    """Check and store subscriptions of a contract, in the order given. `path` is that of the list; None for one input.

    Errors: `NotFound`, PRODUCT_NOT_ON_CARD for a product without a price of that frequency on the contract's card,
    INVALID, NOT_SUPPORTED, QUANTITY_NEGATIVE, NOT_HOUR_ALIGNED, INVALID_INTERVAL, `LimitExceeded` above 500, and those of
    `insert_custom_fields`.
    """
    last = await session.execute(
        select(func.max(SubscriptionRow.added)).where(SubscriptionRow.contract_id == contract.id)
    )
    added = last.scalar_one() or 0
    at_most(range(added + len(entries)), MAX_SUBSCRIPTIONS, path=path or ("input", "subscriptions"))
    rows: list[SubscriptionRow] = []
    for index, entry in enumerate(entries):
        place = ("input",) if path is None else (*path, str(index))
        await check_product(session, contract, entry, path=place)
        rows.append(row_of(entry, contract, added=added + index + 1, path=place, now=now))
    session.add_all(rows)
    await session.flush()
    for index, (row, entry) in enumerate(zip(rows, entries, strict=True)):
        place = ("input",) if path is None else (*path, str(index))
        await insert_custom_fields(session, row, entry.custom_fields, path=(*place, "customFields"))
    return rows


async def add_subscription(
    session: AsyncSession,
    contract_id: UUID,
    entry: NewSubscription,
    *,
    revision: int | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> SubscriptionRow:
    """Add a subscription to a contract.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION, `Conflict`, and those of `insert_subscriptions`.
    """
    contract = await changeable_contract(session, contract_id, revision=revision)
    async with once(session, SubscriptionRow, uniqueness_key, path=("uniquenessKey",)):
        [row] = await insert_subscriptions(session, contract, [entry], path=None, now=now)
        row.uniqueness_key = uniqueness_key
        contract.revision += 1
        await session.flush()
    note_change(session, "contract", contract.id, after={"subscription": _shown(row, entry)})
    return row


def _shown(row: SubscriptionRow, entry: NewSubscription) -> dict[str, object]:
    plain = row.model_dump(
        mode="json", include={"name", "frequency", "collection", "placement", "increases", "prorate"}
    )
    return {
        **plain,
        "id": to_text("subscription", row.id),
        "product": to_text("product", row.product_id),
        "startingAt": row.starting_at.isoformat(),
        "initialQuantity": canonical(row.initial_quantity),
        "customFields": dict(entry.custom_fields),
    }
