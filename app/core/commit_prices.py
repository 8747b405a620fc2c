"""What a charge costs when a balance pays it: commit rates, and overrides that hold for some balances only.

Owns the precedence of semantics 3.2 and 4.5 for usage that draws on a commit or credit. What it costs otherwise is
left to `charging`. Such a price holds only as long as the balance lasts, so it is asked for while drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from app.core.charging import Charge
from app.core.grants import Grant
from app.core.money import exact
from app.core.overrides import overridden_slices, price_override, reaches
from app.core.per_event import PercentagePerEvent
from app.core.rates import Package, Slice, Volume, is_graduated, price_of_whole
from app.core.terms import Multiplier, Override, Overwrite, ProductType, RateTarget, Specifier, Terms


class DrawnPrice(NamedTuple):
    """A stretch of a charge, split by the price at which a balance pays it, and the override that set the price."""

    slices: tuple[Slice, ...]
    override_id: UUID | None


def drawn_price(terms: Terms, charge: Charge, grant: Grant, *, start: Decimal, quantity: Decimal) -> DrawnPrice:
    """The price of `quantity` units of a charge, from its own unit `start` on, when the grant pays them.

    The commit rate, if the grant asks for it and the product has one; only overrides that target it change it. Else the
    list price after a commit-specific override; else what the charge costs anyway (golden decisions 17 to 19). The
    position in the tiers is that of the charge, shared between all prices. Of a price per event only a multiplier makes
    another one; anything else would have to divide the events anew, so the balance pays what they cost anyway.
    """
    if charge.priced.part is not None or isinstance(charge.entry.rate, PercentagePerEvent):
        return _per_event(terms, charge, grant, quantity=quantity)
    rate, target = charge.entry.rate, RateTarget.LIST_RATE
    if grant.rate_type is RateTarget.COMMIT_RATE and charge.entry.commit_rate is not None:
        assert charge.product.type is ProductType.USAGE, "only usage has a commit rate"
        rate, target = charge.entry.commit_rate, RateTarget.COMMIT_RATE
    chosen = price_override(_reaching(terms.overrides, charge, grant, target), terms.override_priority)
    change = None if chosen is None else chosen.change
    as_it_is = charge.is_minimum or (change is None and target is RateTarget.LIST_RATE)
    with exact():
        if as_it_is or not (is_graduated(rate) or isinstance(change, Multiplier | Overwrite)):
            # Bands of a multiplier cannot be told inside a price that holds for a quantity as a whole.
            return DrawnPrice((_at(charge.priced.unit_price, charge, quantity),), charge.override_id)
        if isinstance(rate, Volume | Package) and isinstance(change, Multiplier):
            whole = price_of_whole(rate, charge.priced.before + charge.priced.quantity)
            parts = (_at(whole * change.factor, charge, quantity),)
        else:
            parts = overridden_slices(rate, change, before=charge.priced.before + start, quantity=quantity)
    return DrawnPrice(parts, None if chosen is None else chosen.id)


def _per_event(terms: Terms, charge: Charge, grant: Grant, *, quantity: Decimal) -> DrawnPrice:
    rate, part = charge.entry.rate, charge.priced.part
    own = next((item.change for item in terms.overrides if item.id == charge.override_id), None)
    chosen = price_override(_reaching(terms.overrides, charge, grant, RateTarget.LIST_RATE), terms.override_priority)
    with exact():
        as_it_is = DrawnPrice((_at(charge.priced.unit_price, charge, quantity),), charge.override_id)
        if not isinstance(rate, PercentagePerEvent) or part is None or isinstance(own, Overwrite):
            return as_it_is
        if chosen is None or not isinstance(chosen.change, Multiplier):
            return as_it_is
        return DrawnPrice((_at(rate.price_of(part) * chosen.change.factor, charge, quantity),), chosen.id)


def _at(unit_price: Decimal, charge: Charge, quantity: Decimal) -> Slice:
    return charge.priced._replace(quantity=quantity, unit_price=unit_price, amount=quantity * unit_price)


def _reaching(overrides: Iterable[Override], charge: Charge, grant: Grant, target: RateTarget) -> list[Override]:
    found = [
        item
        for item in overrides
        if item.is_commit_specific
        and item.target is target
        and item.period.contains(charge.phase.starting_at)
        and reaches(replace(item, specifiers=_for_grant(item.specifiers, grant)), charge.product, charge.key)
    ]
    return sorted(found, key=lambda item: (item.added, item.id))


def _for_grant(specifiers: Iterable[Specifier], grant: Grant) -> tuple[Specifier, ...]:
    """The specifiers that hold for the grant: those that name no balance hold for every one."""
    return tuple(
        item
        for item in specifiers
        if not (item.grant_ids or item.recurring_ids)
        or grant.id in item.grant_ids
        or (grant.recurring_id is not None and grant.recurring_id in item.recurring_ids)
    )
