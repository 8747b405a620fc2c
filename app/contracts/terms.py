"""Rows to terms: the only place where what is stored becomes what the core computes with.

Owns the mapping of a contract, its rate card, products and rates to `core.Terms`. The form in which terms are frozen
with an invoice is left to `frozen.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.composites import composite_of
from app.catalog.metrics import money_of
from app.catalog.tables import MetricRow, ProductRow, ProductVersion, RateCard, RateRow
from app.contracts.filters import filters_of
from app.contracts.tables import Contract, OverrideRow
from app.core import terms
from app.core.money import fiat
from app.core.overrides import specifier_from_json
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.terms import Override, OverridePriority, Product, ProductType, RateEntry, Specifier, Terms

SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A rate without a start holds since ever; no usage is older than this."""


async def terms_of(session: AsyncSession, contract: Contract) -> Terms:
    """Everything that decides what the usage of a contract costs."""
    card = None if contract.rate_card_id is None else await session.get_one(RateCard, contract.rate_card_id)
    rates = await _rates(session, contract.rate_card_id)
    product_ids = {rate.product_id for rate in rates}
    rows = await session.execute(select(ProductRow).where(col(ProductRow.id).in_(product_ids)))
    products = rows.scalars().all()
    money = await _money(session, {row.metric_id for row in products if row.metric_id is not None})
    changes = await session.execute(select(ProductVersion).where(col(ProductVersion.product_id).in_(product_ids)))
    versions: dict[UUID, list[ProductVersion]] = {}
    for change in changes.scalars():
        versions.setdefault(change.product_id, []).append(change)
    return Terms(
        contract_id=contract.id,
        customer_id=contract.customer_id,
        unit=fiat(contract.currency),
        period=contract_period(contract),
        schedule=schedule_of(contract),
        grace=timedelta(hours=contract.grace_hours),
        products=tuple(
            sorted(
                (product_of(row, versions.get(row.id, ()), money) for row in products), key=lambda product: product.id
            )
        ),
        rates=rates,
        overrides=await _overrides(session, contract.id),
        override_priority=OverridePriority(contract.override_priority),
        usage_filters=(await filters_of(session, [contract.id]))[contract.id],
        product_order=() if card is None else tuple(UUID(product_id) for product_id in card.product_order),
    )


def contract_period(contract: Contract) -> Period:
    """The contract's period of validity."""
    return Period(contract.starting_at, contract.ending_before)


def schedule_of(contract: Contract) -> StatementSchedule:
    """When the contract's usage statements begin and end."""
    return StatementSchedule(
        frequency=Frequency(contract.statement_frequency),
        day=StatementDay(contract.statement_day),
        anchor=contract.statement_anchor,
        generate_from=contract.generate_from,
    )


async def _money(session: AsyncSession, metric_ids: set[UUID]) -> dict[UUID, terms.MoneyOf | None]:
    rows = await session.execute(select(MetricRow).where(col(MetricRow.id).in_(metric_ids)))
    return {row.id: money_of(row) for row in rows.scalars()}


def product_of(
    row: ProductRow, changes: Sequence[ProductVersion], money: Mapping[UUID, terms.MoneyOf | None]
) -> Product:
    """A product as the core reads it, with the changes of how it is measured."""
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
        versions=_whole_versions(row, changes),
        money=None if row.metric_id is None else money[row.metric_id],
        composite=composite_of(row),
    )


def _whole_versions(row: ProductRow, changes: Sequence[ProductVersion]) -> tuple[terms.ProductVersion, ...]:
    """Each change with all that it left as it was; of several at one instant the last added says what it names."""
    assert row.metric_id is not None or not changes, "only what is measured has versions"
    found: dict[datetime, terms.ProductVersion] = {}
    metric_id, conversion, rounding = row.metric_id, row.conversion, row.rounding
    for change in sorted(changes, key=lambda change: (change.starting_at, change.added)):
        metric_id = change.metric_id or metric_id
        conversion = change.conversion or conversion
        rounding = change.rounding or rounding
        assert metric_id is not None
        found[change.starting_at] = terms.ProductVersion(change.starting_at, metric_id, conversion, rounding)
    return tuple(found.values())


def entry_of(row: RateRow) -> RateEntry:
    """A dated price as the core reads it."""
    return RateEntry(
        id=row.id,
        product_id=row.product_id,
        rate=row.rate,
        period=Period(row.starting_at or SINCE_EVER, row.ending_before),
        entitled=row.entitled,
        group_values=tuple(sorted(row.group_values.items())),
        added=row.added,
    )


async def _overrides(session: AsyncSession, contract_id: UUID) -> tuple[Override, ...]:
    rows = await session.execute(
        select(OverrideRow).where(OverrideRow.contract_id == contract_id).order_by(col(OverrideRow.added))
    )
    return tuple(override_of(row) for row in rows.scalars())


def override_of(row: OverrideRow) -> Override:
    """An override as the core reads it: each way of targeting is a list of specifiers, any of which may hold."""
    specifiers = tuple(specifier_from_json(item) for item in row.specifiers)
    if row.tags:
        specifiers = tuple(Specifier(tags=(tag,)) for tag in row.tags)
    return Override(
        id=row.id,
        period=Period(row.starting_at or SINCE_EVER, row.ending_before),
        specifiers=specifiers or (Specifier(product_id=row.product_id),),
        change=row.change,
        entitled=row.entitled,
        priority=row.priority,
        added=row.added,
    )


async def _rates(session: AsyncSession, rate_card_id: UUID | None) -> tuple[RateEntry, ...]:
    if rate_card_id is None:
        return ()
    rows = await session.execute(
        select(RateRow).where(RateRow.rate_card_id == rate_card_id).order_by(col(RateRow.added), col(RateRow.id))
    )
    return tuple(entry_of(row) for row in rows.scalars())
