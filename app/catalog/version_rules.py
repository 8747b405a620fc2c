"""What a scheduled change of a product may say about how it is measured and split.

Owns the refusals that ask metrics: those of the change, and of later versions that inherit a part from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import definitions
from app.catalog.per_event import check_measured_per_event
from app.catalog.reading import get, refuse_archived
from app.catalog.states import states_of
from app.catalog.tables import MetricRow, ProductRow, ProductVersion
from app.catalog.terms import version_of
from app.core.conversions import Conversion, Rounding
from app.core.terms import Composite, SqlGranularity
from app.errors import ErrorCode, InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """What changes at an hour; None leaves a part as it is then. Empty keys and tags are none."""

    starting_at: datetime
    name: str | None = None
    tags: Sequence[str] | None = None
    metric_id: UUID | None = None
    conversion: Conversion | None = None
    rounding: Rounding | None = None
    pricing_group_key: list[str] | None = None
    presentation_group_key: list[str] | None = None
    granularity: SqlGranularity | None = None
    composite: Composite | None = None

    @property
    def is_about_measuring(self) -> bool:
        """Whether it changes how usage is measured or split."""
        parts = (self.metric_id, self.conversion, self.rounding, self.granularity)
        keys = (self.pricing_group_key, self.presentation_group_key)
        return any(part is not None for part in (*parts, *keys))


async def check_parts(session: AsyncSession, row: ProductRow, change: ProductChange) -> None:
    """Each part fits the type of the product, and is acceptable by itself."""
    if row.metric_id is None and change.is_about_measuring:
        raise InvalidInput(ErrorCode.INVALID, f"Nothing measures a {row.type} product.", path=("id",))
    if change.composite is not None:
        definitions.check_type(row.type, is_composite=True)
        await definitions.check_composite(session, change.composite)
    definitions.check_rounding(change.rounding, path=("input", "quantityRounding"))


async def check_measuring(
    session: AsyncSession,
    row: ProductRow,
    change: ProductChange,
    versions: Iterable[ProductVersion],
    *,
    since: datetime,
) -> None:
    """From the change on, also where a later one names only a part, the metric offers the keys by which usage is split.

    `versions` are all changes of the product, this one included.
    """
    if change.metric_id is not None:
        await _check_swap(session, row, change.metric_id)
    if not change.is_about_measuring:
        return
    for start, state in states_of(row, versions):
        if start >= since:
            assert state.metric_id is not None, "only what is measured is split"
            metric = await get(session, MetricRow, state.metric_id)
            keys = (state.pricing_group_key, state.presentation_group_key)
            definitions.check_product_keys(metric, pricing=keys[0], presentation=keys[1])
            definitions.check_granularity(metric, state.granularity)
            await check_measured_per_event(session, row, version_of(start, state), metric.aggregation)


async def _check_swap(session: AsyncSession, row: ProductRow, metric_id: UUID) -> None:
    """The other metric is offered, and measures the same money, or none like the first."""
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
