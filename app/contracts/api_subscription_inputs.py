"""What callers send to add subscriptions and to change their quantities.

Owns the GraphQL inputs and their way to the service. What a subscription may say is checked by `subscription_rules.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import Path, within
from app.contracts.api_fee_kinds import CollectionTiming, FeePlacement, FeeRoundingMethod, IncreaseBilling
from app.contracts.seat_rules import NewSeats
from app.contracts.subscription_rules import NewSubscription
from app.core import fees
from app.custom_fields.api_types import custom_fields_in
from app.errors import ErrorCode, InvalidInput
from app.graphql.values import Cadence, KeyValueInput
from app.store import ids


@strawberry.input(description="How a prorated fee is rounded.")
class FeeRoundingInput:
    method: FeeRoundingMethod = strawberry.field(description="Where a fee between two steps goes.")  # type: ignore[valid-type]
    decimal_places: int = strawberry.field(description="Decimals of the major unit, -5 to 5.")


@strawberry.input(description="What a part of a billing period costs.")
class SubscriptionProrationInput:
    prorate: bool = strawberry.field(
        default=True, description="Whether a part costs its share of the time; else the whole fee."
    )
    increases: IncreaseBilling = strawberry.field(  # type: ignore[valid-type]
        default=fees.IncreaseBilling.BILL_IMMEDIATELY,
        description="When an increase in mid-period is charged. Fees in arrears take it along at the end anyway.",
    )
    rounding: FeeRoundingInput | None = strawberry.field(
        default=None, description="How a share is rounded; default: it stays exact."
    )


@strawberry.input(description="The seats with which a subscription begins.")
class SeatsInput:
    group_key: str = strawberry.field(description="The property by which events name a seat, 1 to 200 characters.")
    seat_ids: list[str] = strawberry.field(default_factory=list, description="Who has a seat, at most 1,000.")
    unassigned: int = strawberry.field(default=0, description="How many are free, 0 to 10,000.")


@strawberry.input(description="A quantity to be paid for by the period.")
class SubscriptionInput:
    product_id: strawberry.ID = strawberry.field(
        description="What is paid for: a SUBSCRIPTION product with a price of this frequency on the contract's card."
    )
    billing_frequency: Cadence = strawberry.field(  # type: ignore[valid-type]
        description="How long a billing period is; not SEMI_ANNUAL."
    )
    collection: CollectionTiming = strawberry.field(description="When fees are charged.")  # type: ignore[valid-type]
    initial_quantity: Decimal | None = strawberry.field(
        default=None, description="Its quantity at its start, 0 or more; give it or seats, one of the two."
    )
    seats: SeatsInput | None = strawberry.field(default=None, description="The seats that its quantity is made of.")
    starting_at: datetime | None = strawberry.field(
        default=None, description="Its start, a full hour within the contract; default: the contract's start."
    )
    ending_before: datetime | None = strawberry.field(
        default=None, description="Its end, a full hour; default: it ends with the contract."
    )
    proration: SubscriptionProrationInput = strawberry.field(
        default_factory=SubscriptionProrationInput, description="What a part of a billing period costs."
    )
    placement: FeePlacement = strawberry.field(  # type: ignore[valid-type]
        default=fees.FeePlacement.ON_USAGE_INVOICE, description="Which invoices carry its fees."
    )
    anchor: datetime | None = strawberry.field(
        default=None,
        description="The full hour from which its periods are counted; default: as the contract's statements.",
    )
    name: str | None = strawberry.field(default=None, description="What people call it, 1 to 200 characters.")
    temporary_id: str | None = strawberry.field(
        default=None, description="A name by which recurring balances of the same request can follow it."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )


@strawberry.input(description="A change of a quantity from an hour on: give a quantity or a delta, one of the two.")
class QuantityUpdateInput:
    starting_at: datetime = strawberry.field(
        description="From when on, a full hour within the subscription, not before the last fee that is final. "
        "Increases are charged from then on; a decrease counts from the next billing period."
    )
    quantity: Decimal | None = strawberry.field(default=None, description="The new quantity, 0 or more.")
    delta: Decimal | None = strawberry.field(default=None, description="By how much it changes, not 0.")
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the update safe to repeat: a second use is refused."
    )


def new_subscriptions(inputs: Sequence[SubscriptionInput], *, path: Path) -> list[NewSubscription]:
    """The subscriptions as the service takes them; `path` is that of the list."""
    return [new_subscription(found, path=(*path, str(index))) for index, found in enumerate(inputs)]


def new_subscription(found: SubscriptionInput, *, path: Path) -> NewSubscription:
    """A subscription as the service takes it."""
    rounding = None
    if found.proration.rounding is not None:
        place = (*path, "proration", "rounding", "decimalPlaces")
        places = within(found.proration.rounding.decimal_places, low=-5, high=5, path=place)
        rounding = fees.FeeRounding(found.proration.rounding.method, places)
    if (found.initial_quantity is None) is (found.seats is None):
        raise InvalidInput(
            ErrorCode.REQUIRED, "Give an initialQuantity or seats, one of the two.", path=(*path, "initialQuantity")
        )
    seats = None
    if found.seats is not None:
        seats = NewSeats(found.seats.group_key, found.seats.seat_ids, found.seats.unassigned)
    return NewSubscription(
        product_id=ids.from_text("product", found.product_id, path=(*path, "productId")),
        frequency=found.billing_frequency,
        collection=found.collection,
        initial_quantity=seats.quantity if seats is not None else found.initial_quantity or Decimal(0),
        seats=seats,
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        proration=fees.Proration(found.proration.prorate, found.proration.increases, rounding),
        placement=found.placement,
        anchor=found.anchor,
        name=found.name,
        custom_fields=custom_fields_in(found.custom_fields, path=(*path, "customFields")),
    )
