"""The inputs of alerts, and their way to what the service takes."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import strawberry

from app.alerts.api_types import AlertType
from app.alerts.rules import FieldFilter, GroupValue, NewAlert
from app.core.invoice import InvoiceType as Type
from app.custom_fields.api_filters import DESCRIPTION, custom_fields_in
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValueInput, described_enum
from app.invoices.api_types import InvoiceType
from app.store import ids


class FilterEntity(StrEnum):
    """Whose custom fields an alert may ask for."""

    CONTRACT = "CONTRACT"
    COMMIT = "COMMIT"
    CONTRACT_CREDIT = "CONTRACT_CREDIT"


AlertFilterEntity = described_enum(
    FilterEntity,
    name="AlertFilterEntity",
    description="Whose custom fields an alert may ask for.",
    sentences={
        FilterEntity.CONTRACT: "Contracts: only their spend and invoices count.",
        FilterEntity.COMMIT: "Commits: only these count.",
        FilterEntity.CONTRACT_CREDIT: "Credits: only these count.",
    },
)


@strawberry.input(description="A custom field that objects must carry to count.")
class AlertFieldFilterInput:
    entity: AlertFilterEntity = strawberry.field(description="Whose field it is.")  # type: ignore[valid-type]
    key: str = strawberry.field(description="The key, which is registered.")
    value: str = strawberry.field(description="The value.")


@strawberry.input(description="A property whose values are watched by themselves.")
class AlertGroupValueInput:
    key: str = strawberry.field(description="The property: a group key of metrics, or that of seats.")
    value: str | None = strawberry.field(default=None, description="One value; without it each value, at most 5,000.")


@strawberry.input(description="A new alert.")
class AlertCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    type: AlertType = strawberry.field(description="What it watches.")  # type: ignore[valid-type]
    threshold: Decimal = strawberry.field(description="In alarm at it and beyond; 0 or more.")
    unit: CurrencyCode | None = strawberry.field(
        default=None, description="Currency or pricing unit of the threshold; default: USD. None for usage and days."
    )
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Only this customer; default: all.")
    billable_metric_id: strawberry.ID | None = strawberry.field(
        default=None, description="Of a usage alert: the metric."
    )
    custom_field_filters: list[AlertFieldFilterInput] = strawberry.field(
        default_factory=list, description="What must be carried to count; all of it, at most 20."
    )
    group_values: list[AlertGroupValueInput] = strawberry.field(
        default_factory=list, description="Of a spend alert: watch the spend of these group keys, each value anew."
    )
    seat_filter: AlertGroupValueInput | None = strawberry.field(
        default=None, description="Of a seat alert: the property of the seats, and one seat or each."
    )
    invoice_types: list[InvoiceType] = strawberry.field(  # type: ignore[valid-type]
        default_factory=list, description="Of an alert of invoice totals: the types that count; default: all."
    )
    hysteresis: Decimal | None = strawberry.field(
        default=None, description="How far back a reading must be before it is OK again, so that it does not flutter."
    )
    evaluate_on_create: bool = strawberry.field(
        default=True, description="False: a threshold that is reached already is not told, only the next time."
    )
    notify_on_resolve: bool = strawberry.field(
        default=False, description="Of a balance: tell as well when it is OK again, by an event that ends in _resolved."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its own custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


@strawberry.input(description="Which alerts to list; conditions add up.")
class AlertFilter:
    type: list[AlertType] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those of one of these types."
    )
    customer_id: strawberry.ID | None = strawberry.field(
        default=None, description="Those that watch this customer, by itself or with all."
    )
    is_in_alarm: bool | None = strawberry.field(
        default=None, description="Those that are in alarm with anybody, or not."
    )
    is_enabled: bool | None = strawberry.field(default=None, description="Those that are looked at, or are disabled.")
    include_archived: bool = strawberry.field(default=False, description="Archived alerts too.")
    custom_fields: list[KeyValueInput] = strawberry.field(default_factory=list, description=DESCRIPTION)


def new_alert(found: AlertCreateInput) -> NewAlert:
    """The alert as the service takes it."""
    metric_id, customer_id = found.billable_metric_id, found.customer_id
    path = ("input", "billableMetricId")
    seat = found.seat_filter
    return NewAlert(
        name=found.name,
        type=found.type,
        threshold=found.threshold,
        unit=found.unit,
        customer_id=None
        if customer_id is None
        else ids.from_text("customer", customer_id, path=("input", "customerId")),
        metric_id=None if metric_id is None else ids.from_text("metric", metric_id, path=path),
        custom_field_filters=[
            FieldFilter(
                "CREDIT" if item.entity is FilterEntity.CONTRACT_CREDIT else item.entity.value, item.key, item.value
            )
            for item in found.custom_field_filters
        ],
        group_values=[GroupValue(item.key, item.value) for item in found.group_values],
        seat=None if seat is None else GroupValue(seat.key, seat.value),
        invoice_types=[Type(item).value for item in found.invoice_types],
        hysteresis=found.hysteresis,
        evaluate_on_create=found.evaluate_on_create,
        notify_on_resolve=found.notify_on_resolve,
        custom_fields=custom_fields_in(found.custom_fields),
        uniqueness_key=found.uniqueness_key,
    )
