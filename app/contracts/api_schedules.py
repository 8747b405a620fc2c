"""The dates and amounts of a scheduled charge in GraphQL.

Owns their types and how they follow from the stored schedule.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.contracts import tables
from app.contracts.fees import charge_of
from app.core import fees
from app.core.scheduled import scheduled_items
from app.grants.api_kinds import AmountDistribution
from app.grants.api_payments import ScheduleItem, item_shown
from app.graphql.values import Cadence


@strawberry.type(description="How a charge recurs.")
class RecurringSchedule:
    starting_at: datetime = strawberry.field(description="Its first date.")
    ending_before: datetime = strawberry.field(description="It recurs as long as before this instant.")
    frequency: Cadence = strawberry.field(description="How often.")  # type: ignore[valid-type]
    unit_price: Decimal = strawberry.field(description="Price of one, in the major unit.")
    quantity: Decimal = strawberry.field(description="How many of it.")
    distribution: AmountDistribution = strawberry.field(  # type: ignore[valid-type]
        description="Whether each date takes the amount or a part of it."
    )


def recurring_shown(row: tables.ScheduledChargeRow) -> RecurringSchedule | None:
    """How a charge recurs, if it does."""
    found = row.schedule
    if not isinstance(found, fees.RecurringSchedule):
        return None
    return RecurringSchedule(
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        frequency=found.frequency,
        unit_price=found.unit_price,
        quantity=found.quantity,
        distribution=found.distribution,
    )


def items_shown(row: tables.ScheduledChargeRow) -> list[ScheduleItem]:
    """Every instalment of a charge, by date."""
    return [item_shown(item, row.unit) for item in scheduled_items(charge_of(row))]
