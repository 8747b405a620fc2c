"""Reads usage: the hourly quantities of a customer's products, whatever references the usage came under.

Owns which readings of which metrics a product needs; how they are read is told by `metric_hours.py`. Pricing is left to
core.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import Filters
from app.core.metering import HourQuantity, HoursByGroup
from app.core.period import Period
from app.core.quantities import MetricSplit, UsageKey, at_the_end, split_of, usage_of, versions_in
from app.core.terms import Aggregation, Product, SqlGranularity
from app.usage.metric_hours import HoursReader, MetricReading, hours_of_metrics
from app.usage.references import references_of


async def usage_of_products(
    session: AsyncSession,
    *,
    customer_id: UUID,
    products: Iterable[Product],
    period: Period,
    filters: Filters = (),
    hours: HoursReader = hours_of_metrics,
) -> dict[UsageKey, list[HourQuantity]]:
    """Hourly quantities of each product and group in a period, of the usage that the filters let through.

    Hours ascend within each group. `hours` reads those of metrics.
    """
    ordered = sorted(products, key=lambda item: item.id)
    splits = dict.fromkeys(split_of(version) for product in ordered for version in versions_in(product, period))
    readings = await _readings(session, splits)
    references = await references_of(session, customer_id)
    different = {reading.split: reading for reading in readings.values()}
    read = await hours(session, different.values(), references, period, filters=filters)
    usage: dict[UsageKey, list[HourQuantity]] = {}
    for product in ordered:
        versions = versions_in(product, period)
        hours_by_split: dict[MetricSplit, HoursByGroup] = {}
        for split in dict.fromkeys(split_of(version) for version in versions):
            found = read[readings[split].split]
            # How the quantity is spread is one choice for a whole statement: that of its last hour.
            is_sql = metric_of(readings[split].row).query is not None
            is_whole = is_sql and versions[-1].sql_granularity is SqlGranularity.SERVICE_PERIOD
            hours_by_split[split] = at_the_end(found, period) if is_whole else found
        usage.update(usage_of(product, hours_by_split, period))
    return usage


async def _readings(session: AsyncSession, splits: Iterable[MetricSplit]) -> dict[MetricSplit, MetricReading]:
    """Which reading of which metric answers for each split."""
    wanted = list(splits)
    ids = {metric_id for metric_id, _ in wanted}
    found = await session.execute(select(MetricRow).where(col(MetricRow.id).in_(ids)))
    rows = {row.id: row for row in found.scalars()}
    # Only sums may be read by more properties than the product uses, and so once for several products.
    return {
        (metric_id, split): MetricReading(
            rows[metric_id], () if Aggregation(rows[metric_id].aggregation).is_additive else split
        )
        for metric_id, split in wanted
    }
