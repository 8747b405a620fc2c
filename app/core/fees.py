"""What a contract charges beside usage: scheduled charges and subscriptions, as values.

Owns their shape and what makes two billings of the same thing the same. When they fall due is left to `scheduled` and
`subscriptions`, on which invoice to `placement`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.money import Unit
from app.core.period import Frequency, Period


class Distribution(StrEnum):
    """What a recurring charge takes at each occurrence (semantics 4.4)."""

    EACH = "EACH"
    DIVIDED = "DIVIDED"
    DIVIDED_ROUNDED = "DIVIDED_ROUNDED"


@dataclass(frozen=True, slots=True)
class ScheduledItem:
    """One dated instalment; its amount is the unit price times the quantity."""

    at: datetime
    unit_price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class RecurringSchedule:
    """The same charge again and again, or one amount in instalments: from the start on, as long as before the end."""

    starting_at: datetime
    ending_before: datetime
    frequency: Frequency
    unit_price: Decimal
    quantity: Decimal
    distribution: Distribution = Distribution.EACH

    def __post_init__(self) -> None:
        if self.frequency is Frequency.WEEKLY:
            raise ValueError("a charge recurs MONTHLY, QUARTERLY, SEMI_ANNUAL or ANNUAL, not WEEKLY")
        if self.ending_before <= self.starting_at:
            raise ValueError(f"the end {self.ending_before.isoformat()} must lie after the start")


@dataclass(frozen=True, slots=True)
class ScheduledCharge:
    """A fixed amount on given dates, in a unit of its own. `added` is its place in the order of addition.

    What is paid for a commit is a purchase: it has the commit's id, and need not name a product. One that `stands_alone`
    is never on an invoice with anything else: whether it is paid decides about the commit. The schedule of a discount says
    what comes off.
    """

    id: UUID
    product_id: UUID | None
    unit: Unit
    schedule: tuple[ScheduledItem, ...] | RecurringSchedule
    added: int
    is_purchase: bool = False
    stands_alone: bool = False
    is_discount: bool = False


class Collection(StrEnum):
    """When the fee of a billing period is charged: at its start, or at its end."""

    ADVANCE = "ADVANCE"
    ARREARS = "ARREARS"


class FeePlacement(StrEnum):
    """Which invoice carries a fee: the usage statement that fits its date, or always one of its own."""

    ON_USAGE_INVOICE = "ON_USAGE_INVOICE"
    ON_SCHEDULED_INVOICE = "ON_SCHEDULED_INVOICE"


class IncreaseBilling(StrEnum):
    """When an increase in mid-period is charged, for fees that are collected in advance."""

    BILL_IMMEDIATELY = "BILL_IMMEDIATELY"
    BILL_ON_NEXT_COLLECTION_DATE = "BILL_ON_NEXT_COLLECTION_DATE"


class FeeRoundingMethod(StrEnum):
    """Where a prorated fee between two steps goes; a half goes up."""

    HALF_UP = "HALF_UP"
    FLOOR = "FLOOR"
    CEILING = "CEILING"


@dataclass(frozen=True, slots=True)
class FeeRounding:
    """Rounds a prorated fee; `places` are decimals of the major unit, negative for tens and hundreds."""

    method: FeeRoundingMethod
    places: int

    def __post_init__(self) -> None:
        if not -5 <= self.places <= 5:
            raise ValueError(f"decimal places are -5 to 5, not {self.places}")


@dataclass(frozen=True, slots=True)
class Proration:
    """What a part of a billing period costs: its share of the time, rounded if so agreed, or the whole fee."""

    prorate: bool = True
    increases: IncreaseBilling = IncreaseBilling.BILL_IMMEDIATELY
    rounding: FeeRounding | None = None


@dataclass(frozen=True, slots=True)
class QuantityUpdate:
    """A change of a subscription's quantity from an hour on: to a quantity, or by a difference. Exactly one is given."""

    starting_at: datetime
    quantity: Decimal | None = None
    delta: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.quantity is None) is (self.delta is None):
            raise ValueError("an update names a quantity or a difference, not both")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A quantity that is paid for by the period. `updates` are in the order of addition.

    Periods of its own frequency hang on `anchor`, or without one on that of the contract's statements.
    """

    id: UUID
    product_id: UUID
    frequency: Frequency
    collection: Collection
    period: Period
    initial_quantity: Decimal
    updates: tuple[QuantityUpdate, ...] = ()
    proration: Proration = Proration()
    placement: FeePlacement = FeePlacement.ON_USAGE_INVOICE
    anchor: datetime | None = None
    added: int = 0


class ItemKind(StrEnum):
    """What a fee or charge comes from."""

    SUBSCRIPTION = "subscription"
    SCHEDULED = "scheduled"
    PURCHASE = "purchase"


class ItemKey(NamedTuple):
    """What makes a fee or charge itself, so that it is billed once: its source and its instant.

    `at` is the start of the service for a fee, the date for a charge; `ordinal` tells several at one instant apart.
    """

    kind: ItemKind
    source_id: UUID
    at: datetime
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class BilledItem:
    """A fee or charge that a finalized invoice carries, and the quantity that was paid for; void ones count too."""

    key: ItemKey
    quantity: Decimal
