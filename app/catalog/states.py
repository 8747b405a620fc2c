"""What a product is at an instant, after the changes that have begun.

Owns the reading of its versions for people; the engine reads them in `terms.py`, where each change has its own time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.catalog.composites import composite_of
from app.catalog.tables import ProductRow, ProductVersion
from app.core.conversions import Conversion, Rounding
from app.core.terms import Composite, SqlGranularity


@dataclass(frozen=True, slots=True)
class ProductState:
    """The parts of a product that versions may change."""

    name: str
    tags: tuple[str, ...]
    metric_id: UUID | None
    conversion: Conversion | None
    rounding: Rounding | None
    pricing_group_key: tuple[str, ...]
    presentation_group_key: tuple[str, ...]
    granularity: SqlGranularity
    composite: Composite | None


def state_at(row: ProductRow, changes: Iterable[ProductVersion], at: datetime) -> ProductState:
    """The product with every change that begins by an instant; of several at one instant the last added goes over."""
    state = first_state(row)
    for change in in_time(changes):
        if change.starting_at <= at:
            state = changed(state, change)
    return state


def first_state(row: ProductRow) -> ProductState:
    """What the product was made as."""
    return ProductState(
        name=row.name,
        tags=tuple(row.tags),
        metric_id=row.metric_id,
        conversion=row.conversion,
        rounding=row.rounding,
        pricing_group_key=tuple(row.pricing_group_key),
        presentation_group_key=tuple(row.presentation_group_key),
        granularity=SqlGranularity(row.sql_breakdown_granularity),
        composite=composite_of(row),
    )


def changed(state: ProductState, change: ProductVersion) -> ProductState:
    """The product after a change; what the change does not name stays as it was."""
    keys = (state.pricing_group_key, state.presentation_group_key)
    return ProductState(
        name=change.name or state.name,
        tags=state.tags if change.tags is None else tuple(change.tags),
        metric_id=change.metric_id or state.metric_id,
        conversion=change.conversion or state.conversion,
        rounding=change.rounding or state.rounding,
        pricing_group_key=keys[0] if change.pricing_group_key is None else tuple(change.pricing_group_key),
        presentation_group_key=keys[1]
        if change.presentation_group_key is None
        else tuple(change.presentation_group_key),
        granularity=SqlGranularity(change.sql_breakdown_granularity or state.granularity),
        composite=change.composite or state.composite,
    )


def states_of(row: ProductRow, changes: Iterable[ProductVersion]) -> list[tuple[datetime, ProductState]]:
    """What the product is from each instant of change on, by time."""
    found: dict[datetime, ProductState] = {}
    state = first_state(row)
    for change in in_time(changes):
        found[change.starting_at] = state = changed(state, change)
    return list(found.items())


def in_time(changes: Iterable[ProductVersion]) -> list[ProductVersion]:
    """Changes by the instant from which they hold; of one instant in the order in which they were added."""
    return sorted(changes, key=lambda change: (change.starting_at, change.added))
