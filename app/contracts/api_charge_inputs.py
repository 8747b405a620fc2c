"""What callers send to charge fixed amounts on given dates.

Owns the GraphQL inputs and their way to the service; the rules are in `charge_rules.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import Path
from app.contracts.charge_rules import NewCharge
from app.core import fees
from app.custom_fields.api_types import custom_fields_in
from app.grants.api_payments import RecurringScheduleInput, schedule_of
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValueInput
from app.store import ids


@strawberry.input(description="One dated instalment.")
class ScheduleItemInput:
    at: datetime = strawberry.field(description="Its date, before the contract's end.")
    unit_price: Decimal = strawberry.field(description="Price of one, or the whole amount; 0 or more.")
    quantity: Decimal = strawberry.field(default=Decimal(1), description="How many of it, above 0.")


@strawberry.input(description="A fixed amount on given dates: give items or a recurring schedule, one of the two.")
class ScheduledChargeInput:
    product_id: strawberry.ID = strawberry.field(description="What is charged, a FIXED or PRO_SERVICE product.")
    currency: CurrencyCode | None = strawberry.field(
        default=None, description="Currency of its amounts; default: the contract's."
    )
    items: list[ScheduleItemInput] = strawberry.field(default_factory=list, description="Its dates, at most 500.")
    recurring: RecurringScheduleInput | None = strawberry.field(default=None, description="How it recurs.")
    is_discount: bool = strawberry.field(
        default=False,
        description="Whether its amounts come off, such as a rebate on a date; they are written above zero all the same.",
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )


def new_charges(inputs: Sequence[ScheduledChargeInput], *, path: Path) -> list[NewCharge]:
    """The charges as the service takes them; `path` is that of the list."""
    return [new_charge(found, path=(*path, str(index))) for index, found in enumerate(inputs)]


def new_charge(found: ScheduledChargeInput, *, path: Path) -> NewCharge:
    """A charge as the service takes it."""
    recurring = None if found.recurring is None else schedule_of(found.recurring, path=(*path, "recurring"))
    return NewCharge(
        product_id=ids.from_text("product", found.product_id, path=(*path, "productId")),
        unit=found.currency,
        items=[fees.ScheduledItem(item.at, item.unit_price, item.quantity) for item in found.items],
        recurring=recurring,
        is_discount=found.is_discount,
        custom_fields=custom_fields_in(found.custom_fields, path=(*path, "customFields")),
    )
