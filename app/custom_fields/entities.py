"""Which kinds of objects have custom fields.

Owns the list. A slice joins with one line here, and with `HasCustomFields` on its GraphQL type; values of all kinds
stand in one table, because ids are unique over all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.alerts.tables import AlertRow
from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.contracts.tables import Contract, ScheduledChargeRow, SubscriptionRow
from app.customers.tables import Customer
from app.grants.tables import GrantRow, RecurringGrantRow
from app.invoices.tables import Invoice


class Entity(StrEnum):
    """A kind of object that has custom fields."""

    CUSTOMER = "CUSTOMER"
    CONTRACT = "CONTRACT"
    COMMIT = "COMMIT"
    CREDIT = "CREDIT"
    SUBSCRIPTION = "SUBSCRIPTION"
    SCHEDULED_CHARGE = "SCHEDULED_CHARGE"
    PRODUCT = "PRODUCT"
    RATE_CARD = "RATE_CARD"
    BILLABLE_METRIC = "BILLABLE_METRIC"
    INVOICE = "INVOICE"
    ALERT = "ALERT"


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of an entity's ids, what it is called, and its rows, which have an id.

    `types` are those of its rows, where a table holds several kinds.
    """

    kind: str
    called: str
    row_class: Any
    types: Collection[str] | None = None

    def holds(self, row: object) -> bool:
        """Whether a row is of this kind."""
        if not isinstance(row, self.row_class):
            return False
        return self.types is None or getattr(row, "type", None) in self.types


KINDS: Mapping[Entity, Kind] = {
    Entity.CUSTOMER: Kind("customer", "Customer", Customer),
    Entity.CONTRACT: Kind("contract", "Contract", Contract),
    Entity.COMMIT: Kind("commit", "Commit", GrantRow, ("PREPAID", "POSTPAID")),
    Entity.CREDIT: Kind("credit", "Credit", GrantRow, ("CREDIT",)),
    Entity.SUBSCRIPTION: Kind("subscription", "Subscription", SubscriptionRow),
    Entity.SCHEDULED_CHARGE: Kind("scheduled_charge", "Scheduled charge", ScheduledChargeRow),
    Entity.PRODUCT: Kind("product", "Product", ProductRow),
    Entity.RATE_CARD: Kind("rate_card", "Rate card", RateCard),
    Entity.BILLABLE_METRIC: Kind("metric", "Billable metric", MetricRow),
    Entity.INVOICE: Kind("invoice", "Invoice", Invoice),
    Entity.ALERT: Kind("alert", "Alert", AlertRow),
}
RECURRING = Kind("recurring_grant", "Recurring balance", RecurringGrantRow)
"""It has the keys of the commits or credits that it makes, and each of those takes over its values."""
HOLDERS = (*KINDS.values(), RECURRING)


def kind_named(kind: str) -> Kind | None:
    """The holders of custom fields whose ids are of this kind; None for objects without custom fields."""
    return next((found for found in HOLDERS if found.kind == kind), None)


def entity_of(row: object) -> Entity:
    """The entity whose keys a row may have."""
    if isinstance(row, RecurringGrantRow):
        return Entity.CREDIT if row.type == "CREDIT" else Entity.COMMIT
    return next(entity for entity, kind in KINDS.items() if kind.holds(row))
