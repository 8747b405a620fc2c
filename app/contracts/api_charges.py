"""Scheduled charges in GraphQL: how they are shown.

Owns their types; what callers send is in `api_charge_inputs.py`, the rules are in `charge_rules.py`.
"""

from __future__ import annotations

from datetime import datetime

import strawberry
from sqlmodel import col

from app.catalog.api_types import Product
from app.contracts import tables
from app.contracts.api_schedules import RecurringSchedule, ScheduleItem, items_shown, recurring_shown
from app.custom_fields.api_types import HasCustomFields
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.scalars import CurrencyCode

LOADERS["contract.scheduled_charges"] = rows_by(
    tables.ScheduledChargeRow, "contract_id", where=col(tables.ScheduledChargeRow.archived_at).is_(None)
)


@node_type(
    "scheduled_charge",
    of=tables.ScheduledChargeRow,
    scope="contracts:read",
    description="A fixed amount that a contract charges on given dates.",
)
class ScheduledCharge(Node, HasCustomFields):
    uniqueness_key: str | None = strawberry.field(description="The key that made its addition safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was added.")
    archived_at: datetime | None = strawberry.field(description="From when on it charges nothing.")
    is_discount: bool = strawberry.field(description="Whether its amounts come off; its lines are below zero then.")

    @object_field(
        scope="catalog:read", description="What is charged; null for tokens of one customer. Scope: catalog:read."
    )
    async def product(self, info: Info, row: strawberry.Parent[tables.ScheduledChargeRow]) -> Product | None:
        # The catalog is the seller's; a customer's own token does not see it.
        return None if info.context.actor.customer_id else await info.context.load("product", row.product_id)

    @strawberry.field(description="Currency of its amounts.")
    def currency(self, row: strawberry.Parent[tables.ScheduledChargeRow]) -> CurrencyCode:
        return CurrencyCode(row.unit)

    @strawberry.field(description="How it recurs; null when its dates were given one by one.")
    def recurring(self, row: strawberry.Parent[tables.ScheduledChargeRow]) -> RecurringSchedule | None:
        return recurring_shown(row)

    @strawberry.field(description="Every instalment that it stands for, by date.")
    def items(
        self, row: strawberry.Parent[tables.ScheduledChargeRow], first: First = 25, after: After = None
    ) -> Connection[ScheduleItem]:
        shown = items_shown(row)
        places = {id(item): str(place) for place, item in enumerate(shown)}
        return list_connection(shown, key=lambda item: places[id(item)], first=first, after=after)
