"""What a product is at an instant, after the changes that have begun.

Owns the reading of its versions for people; the engine reads them in `terms.py`, where each change has its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.catalog.tables import ProductRow, ProductVersion
from app.core.terms import Conversion, Rounding


@dataclass(frozen=True, slots=True)
class ProductState:
    """The parts of a product that versions may change."""

    name: str
    tags: tuple[str, ...]
    metric_id: UUID | None
    conversion: Conversion | None
    rounding: Rounding | None


def state_at(row: ProductRow, changes: Sequence[ProductVersion], at: datetime) -> ProductState:
    """The product with every change that begins by an instant; of several at one instant the last added goes over."""
    name, tags, metric_id = row.name, row.tags, row.metric_id
    conversion, rounding = row.conversion, row.rounding
    for change in sorted(changes, key=lambda change: (change.starting_at, change.added)):
        if change.starting_at <= at:
            name, tags = change.name or name, tags if change.tags is None else change.tags
            metric_id = change.metric_id or metric_id
            conversion, rounding = change.conversion or conversion, change.rounding or rounding
    return ProductState(name, tuple(tags), metric_id, conversion, rounding)
