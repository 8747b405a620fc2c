"""Scheduled changes of a product: name or tags, how it is measured and split, what it is a percentage of, from an hour on.

Owns their rules. A change in the past reaches drafts at once and final invoices never; what the quantity goes on from
is settled in `core.quantities`.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.products import tags_of
from app.catalog.reading import changeable
from app.catalog.tables import ProductRow, ProductVersion
from app.catalog.version_rules import ProductChange, check_measuring, check_parts
from app.change import note_change
from app.checks import hour_of, name_of
from app.core.composite import composite_to_json
from app.core.conversions import conversion_to_json, rounding_to_json
from app.errors import ErrorCode, InvalidInput, LimitExceeded
from app.store.ids import to_text

MAX_VERSIONS = 100


async def add_product_version(
    session: AsyncSession, product_id: UUID, change: ProductChange, *, now: datetime
) -> ProductRow:
    """Change a product from an hour on; what is not named stays as it is then.

    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, REQUIRED when nothing is named, INVALID for a metric that does not
    offer the group keys of then or of a later version, `LimitExceeded` above 100 changes.
    """
    row = await changeable(session, ProductRow, product_id)
    if all(getattr(change, part.name) is None for part in fields(change) if part.name != "starting_at"):
        raise InvalidInput(ErrorCode.REQUIRED, "Name what changes.", path=("input",))
    await check_parts(session, row, change)
    before = list(await session.scalars(select(ProductVersion).where(col(ProductVersion.product_id) == product_id)))
    if len(before) >= MAX_VERSIONS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"A product changes at most {MAX_VERSIONS} times; make a new one.", path=("id",)
        )
    version = ProductVersion(
        created_at=now,
        product_id=product_id,
        starting_at=hour_of(change.starting_at, path=("input", "startingAt")),
        metric_id=change.metric_id,
        conversion=change.conversion,
        rounding=change.rounding,
        pricing_group_key=change.pricing_group_key,
        presentation_group_key=change.presentation_group_key,
        sql_breakdown_granularity=change.granularity,
        composite=change.composite,
        name=None if change.name is None else name_of(change.name, path=("input", "name")),
        tags=None if change.tags is None else tags_of(change.tags, path=("input", "tags")),
        added=len(before) + 1,
    )
    await check_measuring(session, row, change, [*before, version], since=version.starting_at)
    session.add(version)
    await session.flush()
    note_change(session, "product", product_id, before={"versions": len(before)}, after=_shown(version))
    return row


def _shown(version: ProductVersion) -> dict[str, object]:
    return {
        "versions": version.added,
        "startingAt": version.starting_at.isoformat(),
        "metric": None if version.metric_id is None else to_text("metric", version.metric_id),
        "quantityConversion": None if version.conversion is None else conversion_to_json(version.conversion),
        "quantityRounding": None if version.rounding is None else rounding_to_json(version.rounding),
        "pricingGroupKey": version.pricing_group_key,
        "presentationGroupKey": version.presentation_group_key,
        "sqlBreakdownGranularity": version.sql_breakdown_granularity,
        "composite": None if version.composite is None else composite_to_json(version.composite),
        "name": version.name,
        "tags": version.tags,
    }
