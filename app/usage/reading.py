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
from app.core.quantities import Measuring, Split, UsageKey, at_the_end
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
    plans = _plans(asked)
    readings = await _readings(session, dict.fromkeys(split for plan in plans for split in plan.splits))
    for plan in plans:
        plan.choose(readings)
    references = await references_of_customers(session, {item.customer_id for item in asked})
    questions = [
        HoursAsked(plan.readings, references[item.customer_id], item.period, item.filters, item.before)
        for item, plan in zip(asked, plans, strict=True)
    ]
    answers = await hours(session, questions)
    return [plan.usage(answer) for plan, answer in zip(plans, answers, strict=True)]


class _Plan:
    """What is read for some products over a period, and what becomes of it; one for all contracts that sell the same."""

    def __init__(self, products: Sequence[Product], period: Period) -> None:
        self._period = period
        self._measured = [Measuring.of(one, period) for one in sorted(products, key=lambda item: item.id)]
        self._sources: list[tuple[Measuring, list[tuple[Split, Split, bool]]]] = []
        self.splits = tuple(dict.fromkeys(split for one in self._measured for split in one.all_splits))
        self.readings: Sequence[MetricReading] = ()

    def choose(self, readings: Mapping[Split, MetricReading]) -> None:
        """Take the reading that answers for each split from those of all plans."""
        if self.readings:
            return
        # Only sums may be read by more properties than the product uses, and so once for several products.
        self.readings = list({readings[split].split: readings[split] for split in self.splits}.values())
        self._sources = [
            (one, [(split, readings[split].split, _is_at_the_end(one, readings[split])) for split in one.all_splits])
            for one in self._measured
        ]

    def usage(self, read: Mapping[Split, HoursByGroup]) -> dict[UsageKey, list[HourQuantity]]:
        """The usage of all products, by product id."""
        usage: dict[UsageKey, list[HourQuantity]] = {}
        for measuring, sources in self._sources:
            hours = {
                split: at_the_end(read[source], self._period) if is_at_the_end else read[source]
                for split, source, is_at_the_end in sources
            }
            usage.update(measuring.usage(hours))
        return usage


def _is_at_the_end(measuring: Measuring, reading: MetricReading) -> bool:
    """Whether all of it falls into the last hour: how it is spread is one choice for a statement, that of its last hour."""
    if reading.row.query is None or reading.measure is not None:
        return False
    return measuring.last is not None and measuring.last.sql_granularity is SqlGranularity.SERVICE_PERIOD


def _plans(asked: Sequence[UsageAsked]) -> list[_Plan]:
    """The plan of each question; those that ask for the same products over the same period share theirs."""
    # The questions hold their products as long as this takes, so that nothing else has the id of them.
    found: dict[tuple[int, Period], _Plan] = {}
    for item in asked:
        key = (id(item.products), item.period)
        if key not in found:
            found[key] = _Plan(item.products, item.period)
    return [found[id(item.products), item.period] for item in asked]


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
