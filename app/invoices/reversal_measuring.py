"""How the usage of a final statement would be without one of its events, or without a part of its money.

Owns that measurement: the event is taken out for a moment and the usage is read again, so every aggregation says for
itself what the event brought. What came after the statement was final is left out, as the statement left it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.actor import system
from app.catalog import metrics, tables
from app.core import metering, money, reversals
from app.core.period import Period
from app.core.quantities import Usage, versions_in
from app.core.terms import Aggregation, Metric, Product, Terms
from app.invoices import earlier
from app.store import rehearsal
from app.usage import events, reading, references, service, voiding

Counted = Sequence[tuple[Product, Metric]]
"""Products with the metric that counts an event for them; a product that changes its metric may come twice."""


async def counted_by(session: AsyncSession, terms: Terms, period: Period, event: events.FoundEvent) -> Counted:
    """The products of a contract that may count an event in a period. Which events an SQL metric counts only it knows."""
    asked = [(one, version.metric_id) for one in terms.products for version in versions_in(one, period)]
    rows = await session.execute(
        select(tables.MetricRow).where(col(tables.MetricRow.id).in_({key for _, key in asked}))
    )
    known = {row.id: metrics.metric_of(row) for row in rows.scalars()}
    return [
        (product, known[metric_id])
        for product, metric_id in dict.fromkeys(asked)
        if known[metric_id].query is not None or _counts(known[metric_id], event)
    ]


def _counts(metric: Metric, event: events.FoundEvent) -> bool:
    return metering.matches(metric, event.event) and metering.contributes(metric, event.event)


async def change_without(
    session: AsyncSession,
    terms: Terms,
    period: Period,
    event: events.FoundEvent,
    counted: Counted,
    *,
    up_to_batch: int,
    gone: Sequence[UUID],
    now: datetime,
) -> Usage:
    """What becomes of the usage of a statement when an event leaves it, after those that are `gone` from it already.

    `up_to_batch` is the last batch that the statement saw.
    """
    names = await references.references_of(session, terms.customer_id)
    products = list({product.id: product for product, _ in counted}.values())
    actor = system("reversal")
    async with rehearsal.rehearse(session) as trial:

        async def without(ids: Sequence[UUID]) -> Usage:
            await voiding.void_events(trial, ids, actor=actor, reason="a trial", now=now)
            return await reading.usage_of_products(
                trial, customer_id=terms.customer_id, products=products, period=period, filters=terms.usage_filters,
                before=earlier.statements_before(trial, terms.contract_id, period.starting_at),
            )  # fmt: skip

        late = await service.EVENTS.came_after(trial, up_to_batch, references=names, period=period)
        before = await without([*gone, *late])
        return reversals.usage_change(before, await without([event.id]))


def change_of_part(change: Usage, counted: Counted, event: events.FoundEvent, part: Decimal) -> Usage | None:
    """The share of a change for a part of the event's money, of all products that bill it; None where it is not a part.

    What counts the event otherwise stays: the order was placed, whatever became of its money.
    """
    found: dict[UUID, Decimal] = {}
    for product, metric in counted:
        if metric.money is not None and metric.aggregation is Aggregation.SUM:
            whole = metering.measure(metric, event.event)
            if whole is None or not money.ZERO < part <= whole:
                return None
            found[product.id] = whole
    shares = [reversals.part_of(change, {product_id}, part=part, whole=whole) for product_id, whole in found.items()]
    return {key: hours for share in shares for key, hours in share.items()} if shares else None
