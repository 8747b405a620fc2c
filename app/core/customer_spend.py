"""What a composite product of the whole customer counts of the customer's other contracts.

Owns whose charges those are, at which prices, and on which contract they are billed. Other contracts are asked for their
prices after overrides and before balances: so the base waits for no other statement, and two contracts may count each
other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.charging import Charge, PriceList
from app.core.composite import includes
from app.core.elsewhere import Elsewhere, SpentHour
from app.core.money import ZERO, exact
from app.core.period import HOUR, Period
from app.core.phases import phases, sums_by_phase
from app.core.quantities import Usage, parts_by_key
from app.core.terms import CompositeScope, Product, ProductType, Terms


@dataclass(frozen=True, slots=True)
class OtherStatement:
    """A usage statement of another contract, with what was used in it: as frozen where it is final, else as it is now.

    `goes_first`: of a product that both contracts are entitled to, the other one bills what it can.
    """

    terms: Terms
    period: Period
    usage: Usage
    goes_first: bool


def counts_customer(terms: Terms, period: Period) -> bool:
    """Whether a product of the terms is, in some hour of the period, a percentage of the whole customer's charges."""
    composites = (product for product in terms.products if product.type is ProductType.COMPOSITE)
    return any(_is_of_customer(product, period) for product in composites)


def elsewhere_of(terms: Terms, period: Period, others: Sequence[OtherStatement]) -> tuple[Elsewhere, ...]:
    """What the other statements add to the bases of a statement, by product.

    Each hour counts by what the composite product names in it and by the tags that the other product has in it. Where
    another contract that goes first is entitled to the composite product, that one bills it.

    *Shapes*: one for each composite product of the customer, by id; hours ascending, then by unit, without zeros.
    """
    composites = [product for product in terms.products if _is_of_customer(product, period)]
    spent: dict[UUID, dict[tuple[datetime, str], Decimal]] = {product.id: {} for product in composites}
    billed: dict[UUID, list[Period]] = {product.id: [] for product in composites}
    for other in others:
        for charge in _hourly_charges(other, period):
            hour = charge.phase.starting_at
            for product in composites:
                then = product.at(hour)
                if _scope(then) is CompositeScope.CUSTOMER and includes(then, charge.product):
                    of_product, place = spent[product.id], (hour, charge.unit)
                    with exact():
                        of_product[place] = of_product.get(place, ZERO) + charge.priced.amount
        for product in composites if other.goes_first else ():
            billed[product.id].extend(_billed(other, product, period))
    return tuple(
        Elsewhere(
            product.id,
            tuple(SpentHour(*place, amount) for place, amount in sorted(spent[product.id].items()) if amount),
            tuple(_joined(billed[product.id])),
        )
        for product in sorted(composites, key=lambda product: product.id)
    )


def _is_of_customer(product: Product, period: Period) -> bool:
    changes = (naming.starting_at for naming in product.namings)
    return any(_scope(product.at(part.starting_at)) is CompositeScope.CUSTOMER for part in phases(period, changes))


def _scope(product: Product) -> CompositeScope | None:
    return None if product.composite is None else product.composite.scope


def _hourly_charges(other: OtherStatement, period: Period) -> Iterator[Charge]:
    """The charges of the hours that lie in the period; tiers count from the start of the other statement."""
    prices = PriceList.of(other.terms)
    products = {product.id: product for product in other.terms.products}
    for key, parts in parts_by_key(other.usage):
        used = sorted({item.hour for hours in (parts.hours, *parts.measured.values()) for item in hours})
        if not used:
            continue
        stretches = [Period(hour, hour + HOUR) for hour in used]
        measured = {one: sums_by_phase(hours, stretches) for one, hours in parts.measured.items()}
        quantities = sums_by_phase(parts.hours, stretches)
        found, _ = prices.charges(products[key.product_id], key, quantities, stretches, measured=measured)
        yield from (charge for charge in found if period.contains(charge.phase.starting_at))


def _billed(other: OtherStatement, composite: Product, period: Period) -> Iterator[Period]:
    """Where the other contract bills a composite product: it is entitled to it, and leaves it to nobody else."""
    common = other.period.intersect(period)
    product = next((product for product in other.terms.products if product.id == composite.id), None)
    if common is None or product is None:
        return
    prices = PriceList.of(other.terms)
    left = next((item for item in other.terms.elsewhere if item.product_id == product.id), Elsewhere(product.id))
    bounds = {bound for part in left.billed for bound in (part.starting_at, part.ending_before) if bound}
    for part in phases(common, {*prices.change_instants(), *bounds}):
        at = part.starting_at
        is_its_own = _scope(product.at(at)) is CompositeScope.CUSTOMER and not left.is_billed(at)
        if is_its_own and prices.entitled_entry(product, at=at) is not None:
            yield part


def _joined(periods: Iterable[Period]) -> Iterator[Period]:
    """The same time as periods that neither meet nor overlap, by start; all have an end."""
    found: list[tuple[datetime, datetime]] = []
    for period in sorted(periods, key=lambda period: period.starting_at):
        assert period.ending_before is not None, "parts of a statement have an end"
        if found and found[-1][1] >= period.starting_at:
            start, end = found.pop()
            found.append((start, max(end, period.ending_before)))
        else:
            found.append((period.starting_at, period.ending_before))
    return (Period(start, end) for start, end in found)
