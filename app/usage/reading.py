"""Reads usage: the hourly quantities of a customer's products, whatever references the usage came under.

Owns which readings of which metrics a product needs; how they are read is told by `metric_hours.py`. Pricing is left to
core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import MetricRow
from app.core.filters import Filters
from app.core.metering import HourQuantity, HoursByGroup
from app.core.period import Period
from app.core.quantities import Split, UsageKey, at_the_end, measured_splits, split_of, usage_of, versions_in
from app.core.terms import Aggregation, Product, SqlGranularity
from app.usage.metric_hours import HoursAsked, HoursReader, MetricReading, hours_of_metrics
from app.usage.outcomes import BeforeReader
from app.usage.references import references_of_customers


@dataclass(frozen=True, slots=True)
class UsageAsked:
    """Some products of a customer over one period, of the usage that the filters let through.

    `before` finds the statements that go before it, for outcomes.
    """

    customer_id: UUID
    products: Sequence[Product]
    period: Period
    filters: Filters = ()
    before: BeforeReader | None = None

    def splits(self) -> dict[Split, None]:
        """What must be read of which metric, in the order of the products."""
        found: dict[Split, None] = {}
        for one in sorted(self.products, key=lambda item: item.id):
            found |= dict.fromkeys(split_of(version) for version in versions_in(one, self.period))
            found |= dict.fromkeys(measured_splits(one, self.period))
        return found


async def usage_of_products(
    session: AsyncSession,
    *,
    customer_id: UUID,
    products: Sequence[Product],
    period: Period,
    filters: Filters = (),
    hours: HoursReader = hours_of_metrics,
    before: BeforeReader | None = None,
) -> dict[UsageKey, list[HourQuantity]]:
    """Hourly quantities of each product and group in a period, of the usage that the filters let through.

    Hours ascend within each group. `hours` reads those of metrics.
    """
    [usage] = await usage_of_many(session, [UsageAsked(customer_id, products, period, filters, before)], hours=hours)
    return usage


async def usage_of_many(
    session: AsyncSession, asked: Sequence[UsageAsked], *, hours: HoursReader = hours_of_metrics
) -> list[dict[UsageKey, list[HourQuantity]]]:
    """The answer of `usage_of_products` to each question, in as many statements as for one where buckets answer."""
    splits = [item.splits() for item in asked]
    readings = await _readings(session, dict.fromkeys(split for found in splits for split in found))
    references = await references_of_customers(session, {item.customer_id for item in asked})
    # Only sums may be read by more properties than the product uses, and so once for several products.
    questions = [
        HoursAsked(
            list({readings[split].split: readings[split] for split in found}.values()),
            references[item.customer_id],
            item.period,
            item.filters,
            item.before,
        )
        for item, found in zip(asked, splits, strict=True)
    ]
    answers = await hours(session, questions)
    return [_usage(item, answer, readings) for item, answer in zip(asked, answers, strict=True)]


def _usage(
    asked: UsageAsked, read: Mapping[Split, HoursByGroup], readings: Mapping[Split, MetricReading]
) -> dict[UsageKey, list[HourQuantity]]:
    usage: dict[UsageKey, list[HourQuantity]] = {}
    for product in sorted(asked.products, key=lambda item: item.id):
        versions = versions_in(product, asked.period)
        hours_by_split: dict[Split, HoursByGroup] = {
            split: read[readings[split].split] for split in measured_splits(product, asked.period)
        }
        for split in dict.fromkeys(split_of(version) for version in versions):
            found = read[readings[split].split]
            # How the quantity is spread is one choice for a whole statement: that of its last hour.
            is_sql = readings[split].row.query is not None
            is_whole = is_sql and versions[-1].sql_granularity is SqlGranularity.SERVICE_PERIOD
            hours_by_split[split] = at_the_end(found, asked.period) if is_whole else found
        usage.update(usage_of(product, hours_by_split, asked.period))
    return usage


async def _readings(session: AsyncSession, splits: Iterable[Split]) -> dict[Split, MetricReading]:
    """Which reading of which metric answers for each split."""
    wanted = list(splits)
    ids = {split[0] for split in wanted}
    found = await session.execute(select(MetricRow).where(col(MetricRow.id).in_(ids)))
    rows = {row.id: row for row in found.scalars()}
    return {split: _reading(rows[split[0]], split) for split in wanted}


def _reading(row: MetricRow, split: Split) -> MetricReading:
    if len(split) == 3:
        return MetricReading(row, split[1], split[2])
    return MetricReading(row, () if Aggregation(row.aggregation).is_additive else split[1])
