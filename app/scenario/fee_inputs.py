"""The scheduled charges and subscriptions of a scenario, as the services take them.

Owns their translation and their names; changes of quantities are left to `fees.py`.
"""

from __future__ import annotations

from decimal import Decimal

from app.clock import parse_instant
from app.contracts.charge_rules import NewCharge
from app.contracts.new_fees import NewFees
from app.contracts.subscription_rules import NewSubscription
from app.core.fees import (
    Collection,
    Distribution,
    FeePlacement,
    FeeRounding,
    FeeRoundingMethod,
    IncreaseBilling,
    Proration,
    RecurringSchedule,
    ScheduledItem,
)
from app.core.money import ONE
from app.core.period import Frequency
from app.scenario.prices import optional_instant
from app.scenario.world import Json, World


def new_fees(world: World, contract: Json) -> NewFees:
    """What a contract of a scenario charges beside usage; changes of quantities come after."""
    return NewFees(
        [new_charge(world, charge) for charge in contract.get("scheduled_charges", [])],
        [new_subscription(world, subscription) for subscription in contract.get("subscriptions", [])],
        contract.get("consolidate", False),
    )


def new_charge(world: World, charge: Json) -> NewCharge:
    """A scheduled charge."""
    recurring = charge.get("recurring")
    found = NewCharge(
        product_id=world.products[charge["product"]],
        unit=charge.get("unit"),
        items=[ScheduledItem(parse_instant(item["timestamp"]), *_amount(item)) for item in charge.get("items", [])],
        recurring=None if recurring is None else _recurring(recurring),
    )
    world.charges[charge["id"]] = found.id
    return found


def schedule_of(form: Json) -> tuple[ScheduledItem, ...] | RecurringSchedule:
    """The dates and amounts of a payment schedule."""
    if "recurring" in form:
        return _recurring(form["recurring"])
    return tuple(ScheduledItem(parse_instant(item["timestamp"]), *_amount(item)) for item in form["items"])


def _recurring(found: Json) -> RecurringSchedule:
    unit_price, quantity = _amount(found)
    return RecurringSchedule(
        starting_at=parse_instant(found["starting_at"]),
        ending_before=parse_instant(found["ending_before"]),
        frequency=Frequency(found["frequency"]),
        unit_price=unit_price,
        quantity=quantity,
        distribution=Distribution(found.get("distribution", "EACH")),
    )


def _amount(found: Json) -> tuple[Decimal, Decimal]:
    """Unit price and quantity; an amount alone is one of it."""
    if "amount" in found:
        return Decimal(found["amount"]), ONE
    return Decimal(found["unit_price"]), Decimal(found["quantity"])


def new_subscription(world: World, found: Json) -> NewSubscription:
    """A subscription, without the later changes of its quantity."""
    proration = found.get("proration", {})
    rounding = proration.get("rounding")
    made = NewSubscription(
        product_id=world.products[found["product"]],
        frequency=Frequency(found["frequency"]),
        collection=Collection(found["collection"]),
        initial_quantity=Decimal(found["initial_quantity"]),
        starting_at=optional_instant(found.get("starting_at")),
        ending_before=optional_instant(found.get("ending_before")),
        proration=Proration(
            proration.get("prorate", True),
            IncreaseBilling(proration.get("behavior", "BILL_IMMEDIATELY")),
            None if rounding is None else FeeRounding(FeeRoundingMethod(rounding["method"]), rounding["places"]),
        ),
        placement=FeePlacement(found.get("placement", "ON_USAGE_INVOICE")),
        anchor=optional_instant(found.get("anchor")),
    )
    world.subscriptions[found["id"]] = made.id
    return made
