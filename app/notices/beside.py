"""What stands in notices beside the ids of objects: their custom fields (semantics 8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.custom_fields.tables import CustomFieldKey, CustomFieldValue
from app.notices.tables import Notice
from app.store.arrays import among

_FIELDS = {"customerId": "customer", "contractId": "contract", "commitId": "commit", "creditId": "credit"}
"""Ids in a notice whose objects' custom fields stand beside them (semantics 8.2), and what the entry is called after."""
FAMILIES = ("contract.", "commit.", "credit.", "offset.")
"""Events that carry custom fields."""


async def add_custom_fields(session: AsyncSession, notices: Sequence[Notice]) -> None:
    """Put the custom fields of what a notice names beside it, as they are at the end of the transaction."""
    concerned = [notice for notice in notices if notice.type.startswith(FAMILIES)]
    if not concerned:
        return
    texts = {notice.data[name] for notice in concerned for name in _FIELDS if notice.data.get(name)}
    by_id = {UUID(hex=text.partition("_")[2]): text for text in texts}
    rows = await session.execute(
        select(CustomFieldValue.object_id, CustomFieldKey.key, CustomFieldValue.value)
        .join(CustomFieldKey, col(CustomFieldKey.id) == CustomFieldValue.key_id)
        .where(among(col(CustomFieldValue.object_id), by_id), col(CustomFieldKey.removed_at).is_(None))
    )
    fields: dict[str, dict[str, str]] = {}
    for object_id, key, value in rows:
        fields.setdefault(by_id[object_id], {})[key] = value
    for notice in concerned:
        beside = {
            f"{called}CustomFields": fields.get(notice.data[name], {})
            for name, called in _FIELDS.items()
            if notice.data.get(name)
        }
        notice.data = {**notice.data, **beside}
