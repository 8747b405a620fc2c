"""Products are created.

Owns what a new product may be; later changes of how it is measured are in `versions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.definitions import check_composite, check_granularity, check_product_keys, check_rounding, check_type
from app.catalog.reading import get, refuse_archived
from app.catalog.tables import MetricRow, ProductRow
from app.change import note_change
from app.checks import Path, at_most, distinct, name_of, text_of
from app.core.conversions import Conversion, Rounding, conversion_to_json, rounding_to_json
from app.core.terms import Composite, CompositeScope, ProductType, SqlGranularity
from app.custom_fields.service import insert_custom_fields
from app.errors import ErrorCode, InvalidInput
from app.store.ids import to_text
from app.store.unique import once

MAX_TAGS = 50


async def create_product(
    session: AsyncSession,
    *,
    name: str,
    type: str = "USAGE",
    metric_id: UUID | None = None,
    pricing_group_key: Sequence[str] = (),
    presentation_group_key: Sequence[str] = (),
    tags: Sequence[str] = (),
    conversion: Conversion | None = None,
    rounding: Rounding | None = None,
    composite: Composite | None = None,
    granularity: SqlGranularity = SqlGranularity.HOUR,
    custom_fields: Mapping[str, str] | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> ProductRow:
    """A new product: USAGE is measured by one metric, COMPOSITE is a percentage of the charges of others.

    SUBSCRIPTION is paid for by the period, FIXED and PRO_SERVICE by the schedule of a contract.

    Errors: NOT_SUPPORTED, REQUIRED, `NotFound`, ARCHIVED, INVALID for group keys that the metric does not offer and for
    parts that do not fit the type.
    """
    name = name_of(name, path=("input", "name"))
    check_type(type, is_composite=composite is not None)
    metric = None
    if type == ProductType.USAGE:
        metric = await _metric(session, metric_id, pricing=pricing_group_key, presentation=presentation_group_key)
    elif metric_id or pricing_group_key or presentation_group_key or conversion or rounding:
        raise InvalidInput(ErrorCode.INVALID, f"Nothing measures a {type} product.", path=("input",))
    if composite is not None:
        await check_composite(session, composite)
    check_rounding(rounding, path=("input", "quantityRounding"))
    check_granularity(metric, granularity)
    row = ProductRow(
        created_at=now,
        name=name,
        type=type,
        metric_id=metric_id,
        pricing_group_key=list(pricing_group_key),
        presentation_group_key=list(presentation_group_key),
        tags=tags_of(tags, path=("input", "tags")),
        conversion=conversion,
        rounding=rounding,
        composite_product_ids=None if composite is None else [str(item) for item in composite.product_ids],
        composite_tags=None if composite is None else list(composite.tags),
        exclude_free_usage=composite is not None and composite.exclude_free_usage,
        composite_scope=CompositeScope.CONTRACT if composite is None else composite.scope,
        sql_breakdown_granularity=granularity,
        uniqueness_key=uniqueness_key,
    )
    async with once(session, ProductRow, uniqueness_key):
        session.add(row)
        await session.flush()
        fields = await insert_custom_fields(session, row, custom_fields)
    note_change(session, "product", row.id, after=_product_shown(row) | fields)
    return row


def tags_of(tags: Sequence[str], *, path: Path) -> list[str]:
    """The labels of a product, at most 50, none of them twice."""
    at_most(tags, MAX_TAGS, path=path)
    return list(distinct([text_of(tag, path=path, longest=100) for tag in tags], path=path))


async def _metric(
    session: AsyncSession, metric_id: UUID | None, *, pricing: Sequence[str], presentation: Sequence[str]
) -> MetricRow:
    path = ("input", "metricId")
    if metric_id is None:
        raise InvalidInput(ErrorCode.REQUIRED, "A USAGE product needs a metric.", path=path)
    metric = await get(session, MetricRow, metric_id, path=path)
    refuse_archived(metric, path=path)
    check_product_keys(metric, pricing=pricing, presentation=presentation)
    return metric


def _product_shown(row: ProductRow) -> dict[str, object]:
    return {
        "name": row.name,
        "type": row.type,
        "metric": None if row.metric_id is None else to_text("metric", row.metric_id),
        "pricingGroupKey": row.pricing_group_key,
        "presentationGroupKey": row.presentation_group_key,
        "tags": row.tags,
        "composite": row.composite_product_ids and [to_text("product", UUID(i)) for i in row.composite_product_ids],
        "compositeTags": row.composite_tags,
        "compositeScope": row.composite_scope,
        "quantityConversion": None if row.conversion is None else conversion_to_json(row.conversion),
        "quantityRounding": None if row.rounding is None else rounding_to_json(row.rounding),
    }
