"""Prices per event: which products they fit, how many there may be, and what a product with one may not become.

Owns the refusals. Such a price needs each event's own money, so nothing may stand between the events and their sum: the
metric adds money up, and the product neither converts nor rounds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.metrics import money_of
from app.catalog.tables import MetricRow, ProductRow
from app.catalog.terms import during, versions_of
from app.checks import Path
from app.core import terms
from app.core.period import Period
from app.core.quantities import is_priced_per_event
from app.core.rates import PercentagePerEvent, Rate, rate_from_json
from app.errors import ErrorCode, InvalidInput, LimitExceeded

MAX_PRICES = 50
"""Of one product on one card, and on one contract: each of them divides all events of a statement anew."""
STORED = {
    "rates": "select rate from rates where rate_card_id = :owner and product_id = :product "
    "and rate ->> 'type' = 'PERCENTAGE_PER_EVENT'",
    "overrides": "select change -> 'rate' from overrides where contract_id = :owner and removed_at is null "
    "and change -> 'rate' ->> 'type' = 'PERCENTAGE_PER_EVENT' and "
    "(product_id = :product or specifiers @> jsonb_build_array(jsonb_build_object('product', cast(:product as text))))",
}
ANY = """
select exists(select 1 from rates where product_id = :product and rate ->> 'type' = 'PERCENTAGE_PER_EVENT')
or exists(select 1 from overrides where removed_at is null and change -> 'rate' ->> 'type' = 'PERCENTAGE_PER_EVENT' and
  (product_id = :product or specifiers @> jsonb_build_array(jsonb_build_object('product', cast(:product as text)))))
"""


class Priced(NamedTuple):
    """What a price must fit: how a product is ever measured, whether in money, and what each metric makes of events."""

    versions: tuple[terms.ProductVersion, ...]
    is_money: bool
    aggregations: Mapping[UUID, str]

    def keys_in(self, period: Period) -> list[Sequence[str]]:
        """The pricing group keys that hold at some time in a period."""
        return [version.pricing_group_key for version in during(self.versions, period)]


UNPRICED = Priced((), False, {})
"""Of a product that is not there, or that nothing measures."""


async def priced_products(session: AsyncSession, product_ids: Iterable[UUID]) -> dict[UUID, Priced]:
    """What prices of each product must fit."""
    versions = await versions_of(session, set(product_ids))
    wanted = {version.metric_id for found in versions.values() for version in found}
    rows = await session.scalars(select(MetricRow).where(col(MetricRow.id).in_(wanted)))
    metrics = {row.id: row for row in rows}
    return {
        product_id: Priced(
            found,
            bool(found) and money_of(metrics[found[0].metric_id]) is not None,
            {version.metric_id: metrics[version.metric_id].aggregation for version in found},
        )
        for product_id, found in versions.items()
    }


def check_per_event(rate: Rate, product: ProductRow, priced: Priced, *, path: Path) -> None:
    """Refuse a price per event of a product whose events have no price of their own. Error: NOT_SUPPORTED."""
    if isinstance(rate, PercentagePerEvent):
        for version in priced.versions:
            _check_version(version, priced.aggregations[version.metric_id], product, path=path)


def _check_version(version: terms.ProductVersion, aggregation: str, product: ProductRow, *, path: Path) -> None:
    if aggregation != terms.Aggregation.SUM:
        reason = f"its metric is a {aggregation} and not a SUM of the events' money"
    elif not is_priced_per_event(version):
        reason = "its quantity is converted or rounded as a whole"
    else:
        return
    raise InvalidInput(
        ErrorCode.NOT_SUPPORTED,
        f"A minimum or maximum per event needs each event's own money; of {product.name[:80]!r}, {reason}.",
        path=path,
    )


async def check_measured_per_event(
    session: AsyncSession, product: ProductRow, version: terms.ProductVersion, aggregation: str
) -> None:
    """Refuse another way of measuring a product that has a price per event. Error: NOT_SUPPORTED."""
    if aggregation == terms.Aggregation.SUM and is_priced_per_event(version):
        return
    if (await session.execute(text(ANY), {"product": product.id})).scalar_one():
        _check_version(version, aggregation, product, path=("input",))


async def limit_prices(
    session: AsyncSession, table: str, owner_id: UUID, rates: Iterable[tuple[UUID, Rate]], *, path: Path
) -> None:
    """Refuse more prices per event of one product than a statement can tell apart at once. Error: `LimitExceeded`.

    `table` is `rates`, with the card's id, or `overrides`, with that of the contract; `rates` are new ones by product. They
    hold their products, so that none is measured in another way meanwhile.
    """
    new: dict[UUID, set[Rate]] = {}
    for product_id, rate in rates:
        if isinstance(rate, PercentagePerEvent):
            new.setdefault(product_id, set()).add(rate)
    if new:
        held = select(ProductRow.id).where(col(ProductRow.id).in_(new)).order_by(col(ProductRow.id))
        await session.execute(held.with_for_update(read=True))
    for product_id, prices in new.items():
        stored = await session.execute(text(STORED[table]), {"owner": owner_id, "product": product_id})
        found = prices | {rate_from_json(form) for form in stored.scalars()}
        if len(found) > MAX_PRICES:
            raise LimitExceeded(
                ErrorCode.LIMIT_EXCEEDED,
                f"{len(found)} different prices per event of one product; there may be {MAX_PRICES}.",
                path=path,
            )
