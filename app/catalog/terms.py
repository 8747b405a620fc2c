"""The catalog as the core reads it: products with their versions, and dated prices.

Owns the way from stored rows to values of `core.terms`, for price lists and for the terms of contracts alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog import raters, states
from app.catalog.composites import composite_of
from app.catalog.metrics import money_of
from app.catalog.tables import MetricRow, ProductRow, ProductVersion, RateRow
from app.core.period import Frequency, Period
from app.core.quantities import versions_in
from app.core.terms import MoneyOf, Naming, Product, ProductType, RateEntry, SqlGranularity
from app.core.terms import ProductVersion as CoreVersion
from app.custom_fields.service import custom_fields_of

SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A rate without a start holds since ever; no usage is older than this."""


async def entries_of(session: AsyncSession, rate_card_ids: Collection[UUID]) -> dict[UUID, tuple[RateEntry, ...]]:
    """All prices of each card, in the order of addition."""
    rows = await session.execute(
        select(RateRow)
        .where(col(RateRow.rate_card_id).in_(rate_card_ids))
        .order_by(col(RateRow.rate_card_id), col(RateRow.added), col(RateRow.id))
    )
    found: dict[UUID, list[RateEntry]] = {card_id: [] for card_id in rate_card_ids}
    for row in rows.scalars():
        found[row.rate_card_id].append(_entry(row))
    return {card_id: tuple(entries) for card_id, entries in found.items()}


def _entry(row: RateRow) -> RateEntry:
    return RateEntry(
        id=row.id,
        product_id=row.product_id,
        rate=raters.bound(row.rate),
        period=Period(row.starting_at or SINCE_EVER, row.ending_before),
        entitled=row.entitled,
        group_values=tuple(sorted(row.group_values.items())),
        added=row.added,
        commit_rate=row.commit_rate,
        unit=row.unit,
        minimum=row.minimum,
        billing_frequency=None if row.billing_frequency is None else Frequency(row.billing_frequency),
    )


async def products_of(session: AsyncSession, product_ids: Collection[UUID]) -> tuple[Product, ...]:
    """The products by id, each with the changes of how it is measured."""
    rows = await session.execute(select(ProductRow).where(col(ProductRow.id).in_(product_ids)))
    products = rows.scalars().all()
    money = await _money(session, {row.metric_id for row in products if row.metric_id is not None})
    changes = await session.execute(select(ProductVersion).where(col(ProductVersion.product_id).in_(product_ids)))
    versions: dict[UUID, list[ProductVersion]] = {}
    for change in changes.scalars():
        versions.setdefault(change.product_id, []).append(change)
    fields = await custom_fields_of(session, product_ids)
    found = (
        replace(_product(row, versions.get(row.id, ()), money), custom_fields=tuple(sorted(fields[row.id].items())))
        for row in products
    )
    return tuple(sorted(found, key=lambda product: product.id))


def during(versions: Sequence[CoreVersion], period: Period) -> list[CoreVersion]:
    """Those of a product's versions that hold at some time in a period."""
    ends = [*(version.starting_at for version in versions[1:]), None]
    pairs = zip(versions, ends, strict=False)
    return [version for version, end in pairs if period.intersect(Period(version.starting_at, end))]


async def versions_of(session: AsyncSession, product_ids: Collection[UUID]) -> dict[UUID, tuple[CoreVersion, ...]]:
    """How each product is ever measured and split, by start; nothing for those that nothing measures."""
    return {product.id: versions_in(product, Period(SINCE_EVER)) for product in await products_of(session, product_ids)}


async def _money(session: AsyncSession, metric_ids: set[UUID]) -> dict[UUID, MoneyOf | None]:
    rows = await session.execute(select(MetricRow).where(col(MetricRow.id).in_(metric_ids)))
    return {row.id: money_of(row) for row in rows.scalars()}


def _product(row: ProductRow, changes: Sequence[ProductVersion], money: Mapping[UUID, MoneyOf | None]) -> Product:
    return Product(
        id=row.id,
        name=row.name,
        type=ProductType(row.type),
        metric_id=row.metric_id,
        pricing_group_key=tuple(row.pricing_group_key),
        presentation_group_key=tuple(row.presentation_group_key),
        tags=tuple(row.tags),
        conversion=row.conversion,
        rounding=row.rounding,
        versions=_versions_of(row, changes),
        namings=_namings_of(row, changes),
        money=None if row.metric_id is None else money[row.metric_id],
        composite=composite_of(row),
        sql_granularity=SqlGranularity(row.sql_breakdown_granularity),
    )


def _versions_of(row: ProductRow, changes: Sequence[ProductVersion]) -> tuple[CoreVersion, ...]:
    """How it is measured and split from each change of that on."""
    measured = {change.starting_at for change in changes if _is_about_measuring(change)}
    return tuple(
        version_of(start, state)
        for start, state in states.states_of(row, changes)
        if start in measured and state.metric_id
    )


def _is_about_measuring(change: ProductVersion) -> bool:
    parts = (change.metric_id, change.conversion, change.rounding, change.sql_breakdown_granularity)
    keys = (change.pricing_group_key, change.presentation_group_key)
    return any(part is not None for part in (*parts, *keys))


def version_of(start: datetime, state: states.ProductState) -> CoreVersion:
    """How a product that something measures is measured from an instant on."""
    assert state.metric_id is not None, "only what is measured has versions"
    return CoreVersion(
        starting_at=start,
        metric_id=state.metric_id,
        conversion=state.conversion,
        rounding=state.rounding,
        pricing_group_key=state.pricing_group_key,
        presentation_group_key=state.presentation_group_key,
        sql_granularity=state.granularity,
    )


def _namings_of(row: ProductRow, changes: Sequence[ProductVersion]) -> tuple[Naming, ...]:
    """What it is called, its tags and its composite, from each change of them on."""
    named = {
        change.starting_at
        for change in changes
        if any(part is not None for part in (change.name, change.tags, change.composite))
    }
    return tuple(
        Naming(start, state.name, state.tags, state.composite)
        for start, state in states.states_of(row, changes)
        if start in named
    )
