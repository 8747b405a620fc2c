"""What is paid for commits, in GraphQL, and schedules that recur.

Owns the inputs, the types and both ways; the rules are in `definitions.py` and `schedules.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import Path
from app.core import fees
from app.core.fees import RecurringSchedule
from app.core.money import ONE
from app.errors import ErrorCode, InvalidInput
from app.grants.api_kinds import AmountDistribution
from app.grants.definitions import PaymentSchedule, amount_of, payment_from_json
from app.grants.schedules import recurring_schedule
from app.grants.tables import GrantRow
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Cadence, Money


@strawberry.input(description="Dates that recur.")
class RecurringScheduleInput:
    starting_at: datetime = strawberry.field(description="Its first date.")
    ending_before: datetime = strawberry.field(description="It recurs as long as before this instant.")
    frequency: Cadence = strawberry.field(description="How often; not WEEKLY.")  # type: ignore[valid-type]
    unit_price: Decimal = strawberry.field(description="Price of one, or the whole amount; 0 or more.")
    quantity: Decimal = strawberry.field(default=ONE, description="How many of it.")
    distribution: AmountDistribution = strawberry.field(  # type: ignore[valid-type]
        default=fees.Distribution.EACH, description="Whether each date takes the amount or a part of it."
    )


@strawberry.input(description="A payment for a commit: a unit price times a quantity.")
class PaymentItemInput:
    at: datetime = strawberry.field(description="When it is due.")
    unit_price: Decimal = strawberry.field(description="Price, 0 or more.")
    quantity: Decimal = strawberry.field(default=ONE, description="How often it is paid.")


@strawberry.input(description="What is paid for a commit: give items or a recurring schedule, one of the two.")
class PaymentScheduleInput:
    items: list[PaymentItemInput] = strawberry.field(default_factory=list, description="The payments, at most 1,000.")
    recurring: RecurringScheduleInput | None = strawberry.field(
        default=None, description="How they recur, at most 1,000 times."
    )
    currency: CurrencyCode | None = strawberry.field(default=None, description="Default: the unit of the balance.")
    do_not_invoice: bool = strawberry.field(default=False, description="Record the amounts and ask for nothing.")


@strawberry.type(description="One dated instalment: of a charge, or of what is paid for a commit.")
class ScheduleItem:
    at: datetime = strawberry.field(description="Its date.")
    quantity: Decimal = strawberry.field(description="How many of it.")
    unit_price: Decimal = strawberry.field(description="Exact price of one, in the major unit.")
    amount: Money = strawberry.field(description="Exact amount.")


@strawberry.type(description="What is paid for a commit.")
class BalancePayment:
    currency: CurrencyCode = strawberry.field(description="In which it is paid.")
    do_not_invoice: bool = strawberry.field(description="Whether the amounts are only recorded.")
    schedule: strawberry.Private[PaymentSchedule]

    @strawberry.field(description="The payments, by date.")
    def items(self, first: First = 50, after: After = None) -> Connection[ScheduleItem]:
        items = self.schedule.items(self.currency)
        places = [(str(place), item_shown(item, self.currency)) for place, item in enumerate(items)]
        keys = {id(item): place for place, item in places}
        return list_connection([item for _, item in places], key=lambda item: keys[id(item)], first=first, after=after)


def payment_of(found: PaymentScheduleInput, *, path: Path) -> PaymentSchedule:
    """A schedule of payments as the service takes it. Errors: REQUIRED, and those of `schedule_of`."""
    if bool(found.items) is (found.recurring is not None):
        raise InvalidInput(ErrorCode.REQUIRED, "Give items or a recurring schedule, one of the two.", path=path)
    items = tuple(fees.ScheduledItem(item.at, item.unit_price, item.quantity) for item in found.items)
    recurring = None if found.recurring is None else schedule_of(found.recurring, path=(*path, "recurring"))
    return PaymentSchedule(recurring or items, found.currency, found.do_not_invoice)


def schedule_of(found: RecurringScheduleInput, *, path: Path) -> RecurringSchedule:
    """Dates that recur, as services take them. Errors: NOT_SUPPORTED for weeks, INVALID_INTERVAL."""
    return recurring_schedule(
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        frequency=found.frequency,
        unit_price=found.unit_price,
        quantity=found.quantity,
        distribution=found.distribution,
        path=path,
    )


def payment_shown(row: GrantRow) -> BalancePayment | None:
    """What is paid for a commit, as the API shows it."""
    if row.invoice is None:
        return None
    schedule = payment_from_json(row.invoice)
    currency = CurrencyCode(schedule.unit or row.unit)
    return BalancePayment(currency=currency, do_not_invoice=schedule.do_not_invoice, schedule=schedule)


def item_shown(item: fees.ScheduledItem, unit: str) -> ScheduleItem:
    """A dated instalment, as the API shows it."""
    amount = Money.of(amount_of(item), unit)
    return ScheduleItem(at=item.at, quantity=item.quantity, unit_price=item.unit_price, amount=amount)
