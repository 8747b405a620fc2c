"""The catalog: products and rate cards are created, and all of it is archived.

Owns their rules; metrics are created in `metrics.py` and prices are added in `rates.py`. What is archived is used by
nothing new, while everything that uses it already goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.definitions import check_composite, check_product_keys, check_rounding
from app.catalog.rates import NewRate, insert_rates
from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.change import note_change
from app.checks import Path, at_most, currency_of, distinct, name_of, text_of
from app.core.quantities import conversion_to_json, rounding_to_json
from app.core.terms import Composite, Conversion, ProductType, Rounding
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.store.ids import to_text
from app.store.unique import once

MAX_TAGS = 50
T = TypeVar("T", MetricRow, ProductRow, RateCard)
KINDS: dict[type[object], tuple[str, str]] = {
    MetricRow: ("metric", "Billable metric"),
    ProductRow: ("product", "Product"),
    RateCard: ("rate_card", "Rate card"),
}
"""Row -> its kind of id, and what it is called."""


async def create_product(
    session: AsyncSession,
    *,
    name: str,
    type: str = "USAGE",
    metric_id: UUID | None = None,
    pricing_group_key: Sequence[str] = (),
    presentation_group_key: Sequence[str] = (),
    tags: Sequence[str] = (),
    conversion: Conversion | None = None,
    rounding: Rounding | None = None,
    composite: Composite | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> ProductRow:
    """A new product: USAGE is measured by one metric, COMPOSITE is a percentage of the charges of others.

    Errors: NOT_SUPPORTED, REQUIRED, `NotFound`, ARCHIVED, INVALID for group keys that the metric does not offer and for
    parts that do not fit the type.
    """
    name = name_of(name, path=("input", "name"))
    if type == ProductType.USAGE and composite is None:
        await _check_measured(session, metric_id, pricing=pricing_group_key, presentation=presentation_group_key)
    elif type == ProductType.COMPOSITE:
        if composite is None:
            raise InvalidInput(ErrorCode.REQUIRED, "Say what it is a percentage of.", path=("input", "composite"))
        if metric_id or pricing_group_key or presentation_group_key or conversion or rounding:
            raise InvalidInput(ErrorCode.INVALID, "Nothing measures a COMPOSITE product.", path=("input",))
        await check_composite(session, composite)
    elif type == ProductType.USAGE:
        raise InvalidInput(ErrorCode.INVALID, "Only a COMPOSITE product is one.", path=("input", "composite"))
    else:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"Products are of type {' or '.join(ProductType)} so far, not {type[:40]!r}.",
            path=("input", "type"),
        )
    check_rounding(rounding, path=("input", "quantityRounding"))
    at_most(tags, MAX_TAGS, path=("input", "tags"))
    row = ProductRow(
        created_at=now,
        name=name,
        type=type,
        metric_id=metric_id,
        pricing_group_key=list(pricing_group_key),
        presentation_group_key=list(presentation_group_key),
        tags=list(
            distinct([text_of(tag, path=("input", "tags"), longest=100) for tag in tags], path=("input", "tags"))
        ),
        conversion=conversion,
        rounding=rounding,
        composite_product_ids=None if composite is None else [str(item) for item in composite.product_ids],
        composite_tags=None if composite is None else list(composite.tags),
        uniqueness_key=uniqueness_key,
    )
    async with once(session, ProductRow, uniqueness_key):
        session.add(row)
        await session.flush()
    note_change(session, "product", row.id, after=_product_shown(row))
    return row


async def _check_measured(
    session: AsyncSession, metric_id: UUID | None, *, pricing: Sequence[str], presentation: Sequence[str]
) -> None:
    path = ("input", "metricId")
    if metric_id is None:
        raise InvalidInput(ErrorCode.REQUIRED, "A USAGE product needs a metric.", path=path)
    metric = await get(session, MetricRow, metric_id, path=path)
    refuse_archived(metric, path=path)
    check_product_keys(metric, pricing=pricing, presentation=presentation)


async def create_rate_card(
    session: AsyncSession,
    *,
    name: str,
    currency: str,
    description: str | None = None,
    rates: Sequence[NewRate] = (),
    uniqueness_key: str | None = None,
    now: datetime,
) -> RateCard:
    """A new list of prices in one currency, with its first rates if they are at hand.

    Errors: INVALID, `Conflict`, and those of `add_rates`.
    """
    if description is not None:
        text_of(description, path=("input", "description"), longest=2_000)
    row = RateCard(
        created_at=now,
        name=name_of(name, path=("input", "name")),
        currency=currency_of(currency, path=("input", "currency")),
        description=description,
        uniqueness_key=uniqueness_key,
    )
    async with once(session, RateCard, uniqueness_key):
        session.add(row)
        await session.flush()
        added = await insert_rates(session, row, rates, path=("input", "rates"), now=now)
    note_change(session, "rate_card", row.id, after=_card_shown(row) | {"rates": len(added)})
    return row


async def archive_metric(session: AsyncSession, metric_id: UUID, *, now: datetime) -> MetricRow:
    """No new product may use the metric; existing ones keep metering with it."""
    return await _archive(session, MetricRow, metric_id, now=now)


async def archive_product(session: AsyncSession, product_id: UUID, *, now: datetime) -> ProductRow:
    """No new rate may name the product; existing rates keep working."""
    return await _archive(session, ProductRow, product_id, now=now)


async def archive_rate_card(session: AsyncSession, rate_card_id: UUID, *, now: datetime) -> RateCard:
    """No new contract may use the card; existing ones keep pricing with it."""
    return await _archive(session, RateCard, rate_card_id, now=now)


async def get(session: AsyncSession, row_class: type[T], identifier: UUID, *, path: Path = ("id",)) -> T:
    """A metric, product or rate card; `NotFound` when there is none."""
    row = await session.get(row_class, identifier)
    if row is None:
        kind, called = KINDS[row_class]
        raise NotFound(called, to_text(kind, identifier), path=path)
    return row


def refuse_archived(row: MetricRow | ProductRow | RateCard, *, path: Path) -> None:
    """Raise ARCHIVED for what is used by nothing new."""
    if row.archived_at is not None:
        kind, called = KINDS[type(row)]
        raise InvalidState(
            ErrorCode.ARCHIVED, f"{called} {to_text(kind, row.id)} is archived.", path=path, conflicting=row
        )


async def _archive(session: AsyncSession, row_class: type[T], identifier: UUID, *, now: datetime) -> T:
    row = await session.get(row_class, identifier, with_for_update=True, populate_existing=True)
    kind, called = KINDS[row_class]
    if row is None:
        raise NotFound(called, to_text(kind, identifier), path=("id",))
    refuse_archived(row, path=("id",))
    row.archived_at = now
    await session.flush()
    note_change(session, kind, row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row


def _product_shown(row: ProductRow) -> dict[str, object]:
    return {
        "name": row.name,
        "type": row.type,
        "metric": None if row.metric_id is None else to_text("metric", row.metric_id),
        "pricingGroupKey": row.pricing_group_key,
        "presentationGroupKey": row.presentation_group_key,
        "tags": row.tags,
        "composite": row.composite_product_ids and [to_text("product", UUID(i)) for i in row.composite_product_ids],
        "compositeTags": row.composite_tags,
        "quantityConversion": None if row.conversion is None else conversion_to_json(row.conversion),
        "quantityRounding": None if row.rounding is None else rounding_to_json(row.rounding),
    }


def _card_shown(row: RateCard) -> dict[str, object]:
    return {"name": row.name, "currency": row.currency, "description": row.description}
