"""Which kinds of objects have custom fields.

Owns the list. A slice joins with one line here, and with `HasCustomFields` on its GraphQL type; values of all kinds
stand in one table, because ids are unique over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.contracts.tables import Contract
from app.customers.tables import Customer


class Entity(StrEnum):
    """A kind of object that has custom fields."""

    CUSTOMER = "CUSTOMER"
    CONTRACT = "CONTRACT"
    PRODUCT = "PRODUCT"
    RATE_CARD = "RATE_CARD"
    BILLABLE_METRIC = "BILLABLE_METRIC"


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of an entity's ids, what it is called, and its rows, which have an id."""

    kind: str
    called: str
    row_class: Any


KINDS: Mapping[Entity, Kind] = {
    Entity.CUSTOMER: Kind("customer", "Customer", Customer),
    Entity.CONTRACT: Kind("contract", "Contract", Contract),
    Entity.PRODUCT: Kind("product", "Product", ProductRow),
    Entity.RATE_CARD: Kind("rate_card", "Rate card", RateCard),
    Entity.BILLABLE_METRIC: Kind("metric", "Billable metric", MetricRow),
}


def entity_of_kind(kind: str) -> Entity | None:
    """The entity whose ids are of this kind; None for objects without custom fields."""
    return next((entity for entity, found in KINDS.items() if found.kind == kind), None)
