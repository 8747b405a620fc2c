"""Alerts as GraphQL shows them: what is watched, where it stands with a customer, and every change of that.

Owns the types and their loaders; what can be done is in `api.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import select

from app.alerts import subjects, tables
from app.catalog.api_types import BillableMetric
from app.core import alerts as core
from app.customers.api_types import Customer, HasCustomFields
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValue, described_enum

TRANSITIONS: Any = tables.AlertTransitionRow.__table__.c  # type: ignore[attr-defined]
_LEFT = "in alarm at the threshold and below; balances of single seats do not count."

AlertType = described_enum(
    core.AlertType,
    name="AlertType",
    description="What an alert watches. Its event is alerts. and the type in lower case.",
    sentences={
        core.AlertType.SPEND_THRESHOLD_REACHED: "Usage charges of the running statements before commits and credits.",
        core.AlertType.USAGE_THRESHOLD_REACHED: "What a metric comes to over the running statements.",
        core.AlertType.INVOICE_TOTAL_REACHED: "The total of any single open invoice after balances.",
        core.AlertType.MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED: "What all invoices come to whose service or date "
        "begins in the calendar month, open ones included.",
        core.AlertType.LOW_REMAINING_COMMIT_BALANCE_REACHED: f"What is left of commits; {_LEFT}",
        core.AlertType.LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED: f"What is left of credits; {_LEFT}",
        core.AlertType.LOW_REMAINING_CONTRACT_CREDIT_AND_COMMIT_BALANCE_REACHED: f"What is left of both; {_LEFT}",
        core.AlertType.LOW_REMAINING_COMMIT_PERCENTAGE_REACHED: "What is left of the active segments of commits, of a "
        "hundred.",
        core.AlertType.LOW_REMAINING_CONTRACT_CREDIT_PERCENTAGE_REACHED: "What is left of the active segments of "
        "credits, of a hundred.",
        core.AlertType.LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED: "Days to the end of each active segment of a "
        "commit, each by itself.",
        core.AlertType.LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED: "Days to the end of each active segment "
        "of a credit, each by itself.",
        core.AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED: "What is left of the balances of one seat, each by itself.",
    },
)
AlertState = described_enum(
    core.AlertState,
    name="AlertState",
    description="Where an alert stands with a customer.",
    sentences={
        core.AlertState.EVALUATING: "It was not looked at yet.",
        core.AlertState.OK: "All is well, or there is nothing to look at.",
        core.AlertState.IN_ALARM: "The threshold is reached.",
    },
)


@strawberry.type(description="A custom field that objects must carry to count for an alert.")
class AlertFieldFilter:
    entity: str = strawberry.field(description="CONTRACT, COMMIT or CREDIT.")
    key: str = strawberry.field(description="The key.")
    value: str = strawberry.field(description="The value.")


@strawberry.type(description="A group key whose spend is watched by itself.")
class AlertGroupValue:
    key: str = strawberry.field(description="The key.")
    value: str | None = strawberry.field(description="Its value; null watches each value by itself.")


@node_type(
    "alert", of=tables.AlertRow, scope="alerts:read",
    description="A threshold that is watched for one customer or for all. Its threshold does not change: archive it, make another.",
)  # fmt: skip
class Alert(Node, HasCustomFields):
    name: str = strawberry.field(description="What people call it.")
    type: AlertType = strawberry.field(description="What it watches.")  # type: ignore[valid-type]
    threshold: Decimal = strawberry.field(description="In alarm at it and beyond.")
    unit: CurrencyCode | None = strawberry.field(description="Unit of the threshold; null for usage and days.")
    invoice_types: list[str] = strawberry.field(description="Types of invoices that count; empty: all.")
    hysteresis: Decimal | None = strawberry.field(description="How far back a reading must be before it is OK again.")
    evaluate_on_create: bool = strawberry.field(description="Whether a threshold that is reached already is told.")
    notify_on_resolve: bool = strawberry.field(description="Whether it is told as well when a balance is OK again.")
    created_at: datetime = strawberry.field(description="When it was made.")
    disabled_at: datetime | None = strawberry.field(
        description="Since when it is disabled; null while it is looked at."
    )
    archived_at: datetime | None = strawberry.field(description="When it was archived.")
    uniqueness_key: str | None = strawberry.field(description="The key that makes its create safe to repeat.")

    @strawberry.field(description="The customer that it watches; null for all.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.AlertRow]) -> Customer | None:
        return None if row.customer_id is None else await info.context.load("customer", row.customer_id)

    @strawberry.field(description="The metric that a usage alert watches.")
    async def billable_metric(self, info: Info, row: strawberry.Parent[tables.AlertRow]) -> BillableMetric | None:
        return None if row.metric_id is None else await info.context.load("metric", row.metric_id)

    @strawberry.field(description="Custom fields that contracts or balances must carry to count; all of them.")
    def custom_field_filters(self, row: strawberry.Parent[tables.AlertRow]) -> list[AlertFieldFilter]:
        return [AlertFieldFilter(**item) for item in row.custom_field_filters]

    @strawberry.field(description="Group keys of a spend alert.")
    def group_values(self, row: strawberry.Parent[tables.AlertRow]) -> list[AlertGroupValue]:
        return [AlertGroupValue(**item) for item in row.group_values]

    @strawberry.field(description="The property of seats of a seat alert.")
    def seat_filter(self, row: strawberry.Parent[tables.AlertRow]) -> AlertGroupValue | None:
        return None if row.seat_key is None else AlertGroupValue(key=row.seat_key, value=row.seat_value)

    @strawberry.field(description="Every change with any customer, latest first.")
    async def transitions(
        self, info: Info, row: strawberry.Parent[tables.AlertRow], first: First = 25, after: After = None
    ) -> Connection[AlertTransition]:
        statement = select(tables.AlertTransitionRow).where(TRANSITIONS.alert_id == row.id)
        return await connection(info, statement, sort=[TRANSITIONS.id], descending=True, first=first, after=after)


@strawberry.type(description="Where one subject of an alert stands with a customer.")
class AlertSubject:
    state: AlertState = strawberry.field(description="Where it stands.")  # type: ignore[valid-type]
    value: Decimal | None = strawberry.field(description="What was read last; null when there was nothing to read.")
    since: datetime = strawberry.field(description="When it came to stand so.")
    resolved_at: datetime | None = strawberry.field(description="When it was OK again; null before and after that.")
    triggered_by: str | None = strawberry.field(description="The object from which the reading came.")

    @strawberry.field(description="What is watched by itself: group values, a seat, a segment; empty for the whole.")
    def subject(self, row: strawberry.Parent[tables.AlertStateRow]) -> list[KeyValue]:
        return _pairs(row.subject)


@strawberry.type(description="An alert and where it stands with a customer.")
class CustomerAlert:
    alert: Alert = strawberry.field(description="The alert.")
    customer_id: strawberry.Private[UUID]

    @strawberry.field(description="The customer.")
    async def customer(self, info: Info) -> Customer:
        return await info.context.load("customer", self.customer_id)

    @strawberry.field(
        description="IN_ALARM when any subject is; null once the alert is archived. While it is disabled, as it was then."
    )
    async def state(self, info: Info) -> AlertState | None:  # type: ignore[valid-type]
        if self.alert.archived_at is not None:
            return None
        rows = await self._rows(info)
        if not rows:
            return core.AlertState.EVALUATING
        is_alarm = any(row.state == core.AlertState.IN_ALARM for row in rows)
        return core.AlertState.IN_ALARM if is_alarm else core.AlertState.OK

    @strawberry.field(description="The whole, and what is watched by itself as far as it was in alarm; at most 100.")
    async def subjects(self, info: Info) -> list[AlertSubject]:
        return (await self._rows(info))[:100]  # type: ignore[return-value]

    @strawberry.field(description="Every change with this customer, latest first.")
    async def history(self, info: Info, first: First = 25, after: After = None) -> Connection[AlertTransition]:
        statement = select(tables.AlertTransitionRow).where(
            TRANSITIONS.alert_id == self.alert.id, TRANSITIONS.customer_id == self.customer_id
        )
        return await connection(info, statement, sort=[TRANSITIONS.id], descending=True, first=first, after=after)

    async def _rows(self, info: Info) -> list[tables.AlertStateRow]:
        return await info.context.load("alert.states", (self.alert.id, self.customer_id))


@strawberry.type(description="A change of an alert's state with a customer.")
class AlertTransition:
    before: AlertState = strawberry.field(description="Where it stood.")  # type: ignore[valid-type]
    after: AlertState = strawberry.field(description="Where it stands since.")  # type: ignore[valid-type]
    value: Decimal | None = strawberry.field(description="What was read; null when there was nothing to read.")
    triggered_by: str | None = strawberry.field(description="The object from which the reading came.")

    @strawberry.field(description="When it was seen.")
    def at(self, row: strawberry.Parent[tables.AlertTransitionRow]) -> datetime:
        return row.created_at

    @strawberry.field(description="What is watched by itself; empty for the whole customer.")
    def subject(self, row: strawberry.Parent[tables.AlertTransitionRow]) -> list[KeyValue]:
        return _pairs(row.subject)

    @strawberry.field(description="The event that webhook endpoints were told; null for a change in silence.")
    async def event_type(self, info: Info, row: strawberry.Parent[tables.AlertTransitionRow]) -> str | None:
        if row.told is None:
            return None
        alert = await info.context.load("alert", row.alert_id)
        return core.event_of(core.AlertType(alert.type), core.Told(row.told))

    @strawberry.field(description="The alert.")
    async def alert(self, info: Info, row: strawberry.Parent[tables.AlertTransitionRow]) -> Alert:
        return await info.context.load("alert", row.alert_id)

    @strawberry.field(description="The customer.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.AlertTransitionRow]) -> Customer:
        return await info.context.load("customer", row.customer_id)


def _pairs(text: str) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in subjects.subject_of(text)]
