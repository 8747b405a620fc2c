"""Scheduled changes of a product: another name or tags, metric, conversion or rounding from an hour on.

Owns their rules. A change in the past reaches drafts at once and final invoices never; what the quantity goes on from
is settled in `core.quantities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.catalog.definitions import check_product_keys, check_rounding
from app.catalog.products import tags_of
from app.catalog.reading import changeable, get, refuse_archived
from app.catalog.tables import MetricRow, ProductRow, ProductVersion
from app.change import note_change
from app.checks import hour_of, name_of
from app.core.quantities import conversion_to_json, rounding_to_json
from app.core.terms import Conversion, Rounding
from app.errors import ErrorCode, InvalidInput, LimitExceeded
from app.store.ids import to_text

MAX_VERSIONS = 100


async def add_product_version(
    session: AsyncSession,
    product_id: UUID,
    *,
    starting_at: datetime,
    metric_id: UUID | None = None,
    conversion: Conversion | None = None,
    rounding: Rounding | None = None,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    now: datetime,
) -> ProductRow:
    """Change a product from an hour on; what is not named stays as it is then.

    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, REQUIRED when nothing is named, INVALID for a metric that does not
    offer the product's group keys, `LimitExceeded` above 100 changes.
    """
    row = await changeable(session, ProductRow, product_id)
    if all(part is None for part in (metric_id, conversion, rounding, name, tags)):
        raise InvalidInput(ErrorCode.REQUIRED, "Name what changes.", path=("input",))
    if row.metric_id is None and (metric_id or conversion or rounding):
        raise InvalidInput(ErrorCode.INVALID, f"Nothing measures a {row.type} product.", path=("id",))
    if metric_id is not None:
        await _check_swap(session, row, metric_id)
    check_rounding(rounding, path=("input", "quantityRounding"))
    last = await session.execute(select(func.max(ProductVersion.added)).where(ProductVersion.product_id == product_id))
    added = (last.scalar_one() or 0) + 1
    if added > MAX_VERSIONS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"A product changes at most {MAX_VERSIONS} times; make a new one.", path=("id",)
        )
    version = ProductVersion(
        created_at=now,
        product_id=product_id,
        starting_at=hour_of(starting_at, path=("input", "startingAt")),
        metric_id=metric_id,
        conversion=conversion,
        rounding=rounding,
        name=None if name is None else name_of(name, path=("input", "name")),
        tags=None if tags is None else tags_of(tags, path=("input", "tags")),
        added=added,
    )
    session.add(version)
    await session.flush()
    note_change(session, "product", product_id, before={"versions": added - 1}, after=_shown(version))
    return row


async def _check_swap(session: AsyncSession, row: ProductRow, metric_id: UUID) -> None:
    """The other metric measures the same money, or none like the first, and offers the product's group keys."""
    assert row.metric_id is not None, "only what is measured changes its metric"
    metric = await get(session, MetricRow, metric_id, path=("input", "metricId"))
    refuse_archived(metric, path=("input", "metricId"))
    first = await get(session, MetricRow, row.metric_id)
    if (metric.money_currency, metric.money_currency_property) != (
        first.money_currency,
        first.money_currency_property,
    ):
        raise InvalidInput(
            ErrorCode.INVALID, "Both metrics measure the same money, or neither does.", path=("input", "metricId")
        )
    check_product_keys(metric, pricing=row.pricing_group_key, presentation=row.presentation_group_key)


def _shown(version: ProductVersion) -> dict[str, object]:
    return {
        "versions": version.added,
        "startingAt": version.starting_at.isoformat(),
        "metric": None if version.metric_id is None else to_text("metric", version.metric_id),
        "quantityConversion": None if version.conversion is None else conversion_to_json(version.conversion),
        "quantityRounding": None if version.rounding is None else rounding_to_json(version.rounding),
        "name": version.name,
        "tags": version.tags,
    }
