"""The rating loop: terms and hourly usage of one statement, to exact lines.

Owns the steps of semantics 6.3 from quantities to lines. Totals and rounding are left to `invoice`. The same function
serves drafts, previews, alerts and finalization, so a draft shows what the final invoice will say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.charging import Charge, PriceList
from app.core.composite import base_by_phase
from app.core.lines import Line, LineTier, LineType, merged
from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
from app.core.period import Period
from app.core.phases import phases
from app.core.quantities import Usage, UsageKey
from app.core.terms import ProductType, Terms


@dataclass(frozen=True, slots=True)
class Unrated:
    """Usage that no rate prices. It is not billed, and is shown so that somebody adds the rate (semantics 2.4)."""

    key: UsageKey
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Rating:
    """What a statement says: lines in the order of display, and the usage that has no price."""

    lines: tuple[Line, ...]
    unrated: tuple[Unrated, ...]


def rate_statement(terms: Terms, period: Period, usage: Usage, *, cuts: Sequence[datetime] = ()) -> Rating:
    """The lines of one statement period of a contract.

    `cuts` are further instants at which lines are split; with them, those of composite products are not `merged`.

    *Shapes*: a line for each product, group, phase and tier; sorted by the card's product order, product name, product
    id, pricing values, presentation values, start, tier, rate id. Lines of no quantity are left out. The period lies
    in the contract, the hours in the period, in any order; every product with usage is among the terms' products.
    """
    assert terms.period.intersect(period) == period, "a statement lies inside its contract"
    charges, unrated = price(terms, period, usage, cuts=cuts)
    order = _display_order(terms)
    charges.sort(key=lambda charge: _charge_order(charge, order))
    unrated.sort(key=lambda item: _key_order(item.key, order))
    lines = tuple(_line(charge, terms.unit.code) for charge in charges)
    return Rating(lines=lines if cuts else merged(lines), unrated=tuple(unrated))


def price(
    terms: Terms, period: Period, usage: Usage, *, cuts: Sequence[datetime] = ()
) -> tuple[list[Charge], list[Unrated]]:
    """Charges at base price, in no stated order, and usage without a rate.

    The tier position of a key counts from the start of the period and runs on through phases in which its product is
    not entitled or has no rate (golden decision 11). A product that is not entitled gives no charge.
    """
    products = {product.id: product for product in terms.products}
    price_list = PriceList.of(terms)
    stretches = phases(period, (*price_list.change_instants(), *cuts))
    charges: list[Charge] = []
    unrated: list[Unrated] = []
    with exact():
        for key, hours in usage.items():
            assert key.product_id in products, "usage belongs to a product of the terms"
            quantities = _by_phase(hours, stretches)
            found, without_rate = price_list.charges(products[key.product_id], key, quantities, stretches)
            charges.extend(found)
            if without_rate:
                unrated.append(Unrated(key, without_rate))
        spend = _spend(charges, stretches)
        for product in terms.products:
            if product.type is ProductType.COMPOSITE:
                base = base_by_phase(product, terms.products, spend, count=len(stretches))
                # Spend without a rate for it is no usage without a rate.
                found, _ = price_list.charges(product, UsageKey(product.id), base, stretches)
                charges.extend(found)
    return charges, unrated


def _spend(charges: Iterable[Charge], stretches: Sequence[Period]) -> dict[UUID, list[Decimal]]:
    places = {phase: place for place, phase in enumerate(stretches)}
    spend: dict[UUID, list[Decimal]] = {}
    for charge in charges:
        spend.setdefault(charge.product.id, [ZERO] * len(stretches))[places[charge.phase]] += charge.priced.amount
    return spend


def _by_phase(hours: Sequence[HourQuantity], stretches: Sequence[Period]) -> list[Decimal]:
    """The quantity of each phase, in order of time. Sums are enough: the slices of a sum are the sums of the slices."""
    starts = [phase.starting_at for phase in stretches]
    end = stretches[-1].ending_before
    assert end is not None, "a statement has an end"
    quantities = [ZERO] * len(stretches)
    for item in hours:
        assert starts[0] <= item.hour < end, "the hours of a statement lie inside it"
        quantities[bisect_right(starts, item.hour) - 1] += item.quantity
    return quantities


def _line(charge: Charge, unit: str) -> Line:
    part = charge.priced
    tier = None
    if part.level is not None:
        assert part.tier_starting_at is not None, "a tier begins somewhere"
        tier = LineTier(part.level, part.tier_starting_at, part.tier_size)
    return Line(
        type=LineType.COMPOSITE if charge.product.type is ProductType.COMPOSITE else LineType.USAGE,
        product_id=charge.product.id,
        product_name=charge.product.name,
        unit=unit,
        quantity=part.quantity,
        unit_price=part.unit_price,
        amount=part.amount,
        starting_at=charge.phase.starting_at,
        ending_before=charge.phase.ending_before,
        pricing=charge.key.pricing,
        presentation=charge.key.presentation,
        tier=tier,
        rate_id=charge.rate_id,
        override_id=charge.override_id,
    )


def _display_order(terms: Terms) -> dict[UUID, tuple[int, str, UUID]]:
    """Products as on the card; those that its order does not name follow by name."""
    places = {product_id: place for place, product_id in enumerate(terms.product_order)}
    return {product.id: (places.get(product.id, len(places)), product.name, product.id) for product in terms.products}


def _key_order(key: UsageKey, order: Mapping[UUID, tuple[int, str, UUID]]) -> tuple[object, ...]:
    # None sorts before every text, and is not the same as an empty one.
    values = [[(name, value is not None, value or "") for name, value in group] for group in key[1:]]
    return (*order[key.product_id], *values)


def _charge_order(charge: Charge, order: Mapping[UUID, tuple[int, str, UUID]]) -> tuple[object, ...]:
    # The price comes last: only the bands of a tiered multiplier are equal in all else.
    level = charge.priced.level or 0
    return (*_key_order(charge.key, order), charge.phase.starting_at, level, charge.rate_id, charge.priced.unit_price)
