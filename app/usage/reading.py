"""Reads usage: the hourly quantities of a customer's products, whatever references the usage came under.

Owns the choice between buckets and events. Pricing is left to core.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import Filters, taken
from app.core.metering import HourQuantity, HoursByGroup, cumulative, group_from_text, group_names
from app.core.period import Period
from app.core.quantities import MetricSplit, UsageKey, at_the_end, split_of, usage_of, versions_in
from app.core.terms import Aggregation, Product, SqlGranularity
from app.usage.query_reading import hours_of_query
from app.usage.references import references_of
from app.usage.service import EVENTS


async def hours_of_metric(
    session: AsyncSession,
    row: MetricRow,
    references: Sequence[str],
    period: Period,
    *,
    by: Sequence[str] = (),
    filters: Filters = (),
) -> HoursByGroup:
    """Hourly quantities by group, from buckets where the metric adds up; else folded from the events of the period.

    Buckets are split by all properties that the metric offers, events by the properties `by`. A metric that came to the
    card after the filter need not offer its property; then events are folded too.
    """
    assert period.ending_before is not None
    bounds = {"starting_at": period.starting_at, "ending_before": period.ending_before}
    metric = metric_of(row)
    if metric.query is not None:
        return await hours_of_query(session, metric.query, references, period, by=by, filters=filters)
    names = set(group_names(metric))
    # Buckets that are not ready lack the events that came before the metric; then all are folded from the events.
    if metric.aggregation.is_additive and row.buckets_ready and names >= {item.key for item in filters}:
        found = await EVENTS.hours(session, metric_id=row.id, references=references, **bounds)
        return taken(filters, {group_from_text(text): quantities for text, quantities in found.items()})
    split = names if metric.aggregation.is_additive else by
    by_hour = await EVENTS.hourly(session, metric, by=sorted(split), references=references, filters=filters, **bounds)
    folded = {group: cumulative(metric.aggregation, hours) for group, hours in by_hour.items()}
    return {group: hours for group, hours in folded.items() if hours}


class HoursReader(Protocol):
    """What gives the hours of one metric: `hours_of_metric`, or a preview in its place."""

    async def __call__(
        self,
        session: AsyncSession,
        row: MetricRow,
        references: Sequence[str],
        period: Period,
        *,
        by: Sequence[str] = (),
        filters: Filters = (),
    ) -> HoursByGroup:
        """As `hours_of_metric`."""
        ...


async def usage_of_products(
    session: AsyncSession,
    *,
    customer_id: UUID,
    products: Iterable[Product],
    period: Period,
    filters: Filters = (),
    hours: HoursReader = hours_of_metric,
) -> dict[UsageKey, list[HourQuantity]]:
    """Hourly quantities of each product and group in a period, of the usage that the filters let through.

    Hours ascend within each group. `hours` reads those of one metric.
    """
    references = await references_of(session, customer_id)
    read: dict[MetricSplit, HoursByGroup] = {}
    usage: dict[UsageKey, list[HourQuantity]] = {}
    for product in sorted(products, key=lambda item: item.id):
        versions = versions_in(product, period)
        hours_by_split: dict[MetricSplit, HoursByGroup] = {}
        for metric_id, split in dict.fromkeys(split_of(version) for version in versions):
            metric = await session.get_one(MetricRow, metric_id)
            # Only sums may be read by more properties than the product uses, and so once for several products.
            names = () if Aggregation(metric.aggregation).is_additive else split
            if (metric_id, names) not in read:
                read[metric_id, names] = await hours(session, metric, references, period, by=names, filters=filters)
            found = read[metric_id, names]
            # How the quantity is spread is one choice for a whole statement: that of its last hour.
            is_whole = metric.query is not None and versions[-1].sql_granularity is SqlGranularity.SERVICE_PERIOD
            hours_by_split[metric_id, split] = at_the_end(found, period) if is_whole else found
        usage.update(usage_of(product, hours_by_split, period))
    return usage
