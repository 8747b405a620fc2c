"""What a statement leaves behind of its outcomes when it becomes final: open sessions, and cases as they stood.

Owns that it is kept with the invoice, of the very events that were billed. Later statements go on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import MetricRow
from app.core.invoice import InvoiceType
from app.core.metering import HoursByGroup, cumulative
from app.core.quantities import Split, versions_in
from app.core.terms import Aggregation
from app.errors import ErrorCode, Unavailable
from app.invoices import drafts, earlier
from app.usage import metric_hours
from app.usage.outcomes import Keeper
from app.usage.reading import usage_of_products

OUTCOMES = [aggregation for aggregation in Aggregation if aggregation.is_outcome]


async def keep_outcomes(session: AsyncSession, rated: Sequence[drafts.RatedStatement]) -> None:
    """Keep open sessions and the states of cases at the end of statements that become final, in their order.

    What is kept must be of the very events that were billed. Error: UNAVAILABLE when others came in meanwhile, which the
    next try takes in; nothing is stored then.
    """
    statements = [item for item in rated if item.statement.type is InvoiceType.USAGE]
    # Contracts of one card have the same products; the statements hold them, so that nothing else has their id.
    sold = {(id(item.terms.products), item.statement.period): item.terms.products for item in statements}
    wanted = {
        version.metric_id
        for (_, period), products in sold.items()
        for product in products
        for version in versions_in(product, period)
    }
    if not wanted:
        return
    found = await session.execute(
        select(MetricRow.id).where(col(MetricRow.id).in_(wanted), col(MetricRow.aggregation).in_(OUTCOMES))
    )
    outcomes = set(found.scalars())
    for item in statements if outcomes else ():
        period = item.statement.period
        measured = [
            product
            for product in item.terms.products
            if any(version.metric_id in outcomes for version in versions_in(product, period))
        ]
        usage = await usage_of_products(
            session, customer_id=item.customer_id, products=measured, period=period, filters=item.terms.usage_filters,
            hours=_Keeping(Keeper(item.id, item.contract_id)),
            before=earlier.statements_before(session, item.contract_id, period.starting_at),
        )  # fmt: skip
        ids = {product.id for product in measured}
        if usage != {key: hours for key, hours in item.usage.items() if key.product_id in ids}:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, "Usage came in while the invoice was made; try again.", path=("id",)
            )


class _Keeping:
    """Reads the hours of metrics, and keeps what outcomes leave behind in the same statement of the database."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def __call__(
        self, session: AsyncSession, asked: Sequence[metric_hours.HoursAsked]
    ) -> list[dict[Split, HoursByGroup]]:
        others = [item._replace(readings=[one for one in item.readings if not _is_outcome(one)]) for item in asked]
        found = await metric_hours.hours_of_metrics(session, others)
        for item, hours in zip(asked, found, strict=True):
            for reading in item.readings:
                if _is_outcome(reading):
                    kept = await (await metric_hours.outcomes_of(session, reading, item)).keep(self._keeper)
                    aggregation = Aggregation(reading.row.aggregation)
                    hours[reading.split] = {group: cumulative(aggregation, by_hour) for group, by_hour in kept.items()}
        return found


def _is_outcome(reading: metric_hours.MetricReading) -> bool:
    return Aggregation(reading.row.aggregation).is_outcome
