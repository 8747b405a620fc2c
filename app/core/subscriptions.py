"""Subscriptions: the fees of each billing period, from the history of a quantity.

Owns semantics 4.6: billing periods, one price for each, proration, what an increase costs and that a decrease waits.
Whether a fee was billed before is told by the terms; on which invoice it goes is left to `placement`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core import overrides, pricing
from app.core.fees import (
    BilledItem,
    Collection,
    FeeRoundingMethod,
    IncreaseBilling,
    ItemKind,
    Proration,
    QuantityUpdate,
    Subscription,
)
from app.core.lines import Line, LineType
from app.core.money import ONE, ZERO, ceil_to, divide, exact, floor_to, round_half_up
from app.core.period import Period, StatementSchedule, recurring_periods, statement_anchor
from app.core.quantities import UsageKey
from app.core.terms import Terms

_ROUNDING = {
    FeeRoundingMethod.HALF_UP: round_half_up,
    FeeRoundingMethod.FLOOR: floor_to,
    FeeRoundingMethod.CEILING: ceil_to,
}


@dataclass(frozen=True, slots=True)
class FeePrice:
    """The price of one unit for one billing period, and where it comes from."""

    unit_price: Decimal
    rate_id: UUID
    override_id: UUID | None


def quantity_steps(initial: Decimal, updates: Sequence[QuantityUpdate]) -> tuple[tuple[datetime, Decimal], ...]:
    """The quantity from each instant of change on, in order of time; updates of one instant apply as they were added.

    ValueError when the quantity would fall below 0 at some update.
    """
    found: dict[datetime, Decimal] = {}
    quantity = initial
    with exact():
        for update in sorted(updates, key=lambda update: update.starting_at):
            quantity = update.quantity if update.quantity is not None else quantity + (update.delta or ZERO)
            if quantity < 0:
                raise ValueError(f"the quantity would be {quantity} from {update.starting_at.isoformat()} on")
            found[update.starting_at] = quantity
    return tuple(found.items())


def quantity_at(subscription: Subscription, at: datetime) -> Decimal:
    """The quantity that is in force at an instant."""
    steps = quantity_steps(subscription.initial_quantity, subscription.updates)
    return _in_force(steps, at, initial=subscription.initial_quantity)


def billing_periods(
    subscription: Subscription, *, contract: Period, schedule: StatementSchedule, begun_by: datetime
) -> Iterator[tuple[Period, Period]]:
    """The billing periods that began by an instant: each whole, and as the subscription and the contract cut it.

    They hang on the subscription's own anchor, or on that of the statements, with its own frequency (golden decision
    36).
    """
    within = subscription.period.intersect(contract)
    if within is None:
        return iter(())
    anchor = subscription.anchor or statement_anchor(schedule, contract)
    return recurring_periods(anchor, subscription.frequency, within=within, begun_by=begun_by)


def subscription_lines(subscription: Subscription, terms: Terms, *, begun_by: datetime) -> Iterator[Line]:
    """The fees of the periods that began by an instant, those aside that were paid for already.

    A period is priced once, by the price in force where it begins; without one, or when it is not entitled, it costs
    nothing. Its first fee is for the quantity at its start; each later one is for what goes beyond the highest quantity
    paid for so far (golden decision 37).
    """
    paid = _paid(subscription, terms.billed)
    steps = quantity_steps(subscription.initial_quantity, subscription.updates)
    periods = billing_periods(subscription, contract=terms.period, schedule=terms.schedule, begun_by=begun_by)
    for whole, cut in periods:
        price: FeePrice | None = None
        highest = ZERO
        begin = _in_force(steps, cut.starting_at, initial=subscription.initial_quantity)
        later = [(at, quantity) for at, quantity in steps if at > cut.starting_at and cut.contains(at)]
        for at, quantity in [(cut.starting_at, begin), *later]:
            parts = paid.get(at, [])
            with exact():
                highest += sum(parts, ZERO)
                increase = quantity - highest
            if increase <= 0:
                continue
            price = price or fee_price(subscription, terms, at=cut.starting_at)
            if price is None:
                break
            yield _fee(subscription, terms, whole, Period(at, cut.ending_before), price, increase, ordinal=len(parts),
                       is_first=at == cut.starting_at and not parts)  # fmt: skip
            highest = quantity


def fee_price(subscription: Subscription, terms: Terms, *, at: datetime) -> FeePrice | None:
    """The price of a billing period that begins at an instant; None when it is not billed."""
    product = next(product for product in terms.products if product.id == subscription.product_id)
    book = pricing.rate_book(entry for entry in terms.rates if entry.product_id == product.id)
    frequency = subscription.frequency
    entry = pricing.entry_at(book, product_id=product.id, pricing=(), at=at, billing_frequency=frequency)
    if entry is None:
        return None
    key = UsageKey(product.id)
    found = overrides.overrides_at(terms.overrides, product=product.at(at), key=key, at=at, frequency=frequency)
    if not overrides.entitlement(found, listed=entry.entitled):
        return None
    chosen = overrides.price_override(found, terms.override_priority)
    change = None if chosen is None else chosen.change
    [part] = overrides.overridden_slices(entry.rate, change, before=ZERO, quantity=ONE)
    return FeePrice(part.unit_price, entry.id, None if chosen is None else chosen.id)


def fee_amount(price: Decimal, quantity: Decimal, *, part: Period, whole: Period, proration: Proration) -> Decimal:
    """What a quantity costs for a part of a billing period: its share by the second, rounded if so agreed.

    *Source*: semantics 4.6; the length of a period that was cut is the uncut one (golden decision 34).
    """
    with exact():
        amount = price * quantity
    if not proration.prorate or part == whole:
        return amount
    with exact():
        share = divide(amount * _seconds(part), _seconds(whole))
    if proration.rounding is None:
        return share
    return _ROUNDING[proration.rounding.method](share, places=proration.rounding.places)


def _in_force(steps: Sequence[tuple[datetime, Decimal]], at: datetime, *, initial: Decimal) -> Decimal:
    begun = bisect_right(steps, at, key=lambda step: step[0])
    return steps[begun - 1][1] if begun else initial


def _seconds(period: Period) -> Decimal:
    assert period.ending_before is not None, "a billing period has an end"
    length = period.ending_before - period.starting_at
    return Decimal(length.days * 86_400 + length.seconds)


def _paid(subscription: Subscription, billed: Sequence[BilledItem]) -> Mapping[datetime, list[Decimal]]:
    """The quantities of a subscription that are on final invoices, by the start of their service."""
    found: dict[datetime, list[Decimal]] = {}
    for item in billed:
        if (item.key.kind, item.key.source_id) == (ItemKind.SUBSCRIPTION, subscription.id):
            found.setdefault(item.key.at, []).append(item.quantity)
    return found


def _fee(
    subscription: Subscription,
    terms: Terms,
    whole: Period,
    part: Period,
    price: FeePrice,
    quantity: Decimal,
    *,
    ordinal: int,
    is_first: bool,
) -> Line:
    at_once = subscription.proration.increases is IncreaseBilling.BILL_IMMEDIATELY or is_first
    in_advance = subscription.collection is Collection.ADVANCE
    product = next(product for product in terms.products if product.id == subscription.product_id)
    return Line(
        type=LineType.SUBSCRIPTION,
        product_id=product.id,
        product_name=product.at(part.starting_at).name,
        unit=terms.unit.code,
        quantity=quantity,
        unit_price=price.unit_price,
        amount=fee_amount(price.unit_price, quantity, part=part, whole=whole, proration=subscription.proration),
        starting_at=part.starting_at,
        ending_before=part.ending_before,
        rate_id=price.rate_id,
        override_id=price.override_id,
        subscription_id=subscription.id,
        charged_at=part.starting_at if in_advance and at_once else part.ending_before,
        ordinal=ordinal,
    )
