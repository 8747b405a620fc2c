"""From a quantity to charges: the price of one key, phase by phase.

Owns the way from the list price over the contract's own to slices of quantity, and what has no price. The quantity may
be usage or, for a composite product, other charges; the position runs on through all phases of a statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from app.core import overrides, pricing
from app.core.money import ONE, ZERO, exact
from app.core.per_event import Measure, PercentagePerEvent
from app.core.period import Period
from app.core.quantities import UsageKey, is_priced_per_event, versions_in
from app.core.rates import Percentage, Slice, TieredPercentage, is_graduated, slices_per_event
from app.core.terms import Multiplier, Override, Product, RateEntry, Terms, TieredMultiplier


class Charge(NamedTuple):
    """Usage of one key in one phase at one price: what balances are drawn down by. `unit` is that of its amount."""

    product: Product
    key: UsageKey
    phase: Period
    priced: Slice
    entry: RateEntry
    override_id: UUID | None
    unit: str
    is_minimum: bool = False


class PriceList(NamedTuple):
    """The prices of a contract: its card's and its own."""

    terms: Terms
    book: pricing.RateBook

    @classmethod
    def of(cls, terms: Terms) -> PriceList:
        """The prices, arranged for looking up."""
        return cls(terms, pricing.rate_book(terms.rates))

    def change_instants(self) -> set[datetime]:
        """Every instant at which some price changes, the way some product is measured, or whose usage it is."""
        versions = {
            change.starting_at for product in self.terms.products for change in (*product.versions, *product.namings)
        }
        filters = {item.starting_at for item in self.terms.usage_filters}
        changes = pricing.change_instants(self.terms.rates)
        return versions.union(filters, changes, overrides.change_instants(self.terms.overrides))

    def charges(
        self,
        product: Product,
        key: UsageKey,
        quantities: Sequence[Decimal],
        stretches: Sequence[Period],
        *,
        unit: str | None = None,
        measured: Mapping[Measure, Sequence[Decimal]] = MappingProxyType({}),
    ) -> tuple[list[Charge], Decimal]:
        """The charges of one key phase by phase, and the quantity that no rate prices.

        They are in `unit`, by default in that of their rate, which is the card's currency or one of its custom units.
        `measured` is by phase as well, for prices per event.
        """
        charges: list[Charge] = []
        position = without_rate = ZERO
        with exact():
            for place, (phase, quantity) in enumerate(zip(stretches, quantities, strict=True)):
                if not quantity and not measured:
                    continue  # Nothing costs nothing, at every kind of price.
                entry = pricing.entry_at(self.book, product_id=product.id, pricing=key.pricing, at=phase.starting_at)
                if entry is None:
                    without_rate += quantity
                else:
                    then, chosen, is_billed = product.at(phase.starting_at), None, entry.entitled
                    if self.terms.overrides:
                        found = overrides.overrides_at(
                            self.terms.overrides, product=then, key=key, at=phase.starting_at
                        )
                        chosen = overrides.price_override(found, self.terms.override_priority)
                        is_billed = overrides.entitlement(found, listed=entry.entitled)
                    if is_billed:
                        if self._fits(product, key, phase, entry, chosen):
                            counted = unit or entry.unit or self.terms.unit.code
                            here = {measure: sums[place] for measure, sums in measured.items()}
                            parts = _slices(entry, chosen, before=position, quantity=quantity, measured=here)
                            charges.extend(
                                Charge(then, key, phase, part, entry, None if chosen is None else chosen.id, counted)
                                for part in parts
                            )
                        else:
                            without_rate += quantity
                position += quantity
        return charges, without_rate

    def entitled_entry(self, product: Product, *, at: datetime) -> RateEntry | None:
        """The rate of a product without groups at an instant, if it is billed then."""
        entry = pricing.entry_at(self.book, product_id=product.id, pricing=(), at=at)
        if entry is None:
            return None
        found = overrides.overrides_at(self.terms.overrides, product=product.at(at), key=UsageKey(product.id), at=at)
        return entry if overrides.entitlement(found, listed=entry.entitled) else None

    def _fits(self, product: Product, key: UsageKey, phase: Period, entry: RateEntry, chosen: Override | None) -> bool:
        """Whether the rate can price the usage: nothing is a percentage of another currency's money (semantics 11.2).

        A price per event needs the events' own money, and has no quantity that tiers could share out.
        """
        rate = entry.rate if chosen is None else overrides.rate_after(entry.rate, chosen)
        if isinstance(rate, PercentagePerEvent):
            is_tiered = chosen is not None and isinstance(chosen.change, TieredMultiplier)
            if product.money is None or is_tiered or not all(map(is_priced_per_event, versions_in(product, phase))):
                return False
        elif product.money is None or not isinstance(rate, Percentage | TieredPercentage):
            return True
        currency = product.money.currency or dict(key.pricing).get(product.money.currency_property or "")
        return currency == self.terms.unit.code


def _slices(
    entry: RateEntry,
    chosen: Override | None,
    *,
    before: Decimal,
    quantity: Decimal,
    measured: Mapping[Measure, Decimal],
) -> tuple[Slice, ...]:
    """A quantity at the list price, or at what the chosen override makes of it."""
    change = None if chosen is None else chosen.change
    rate = entry.rate if chosen is None else overrides.rate_after(entry.rate, chosen)
    if isinstance(rate, PercentagePerEvent):
        return slices_per_event(rate, measured, factor=change.factor if isinstance(change, Multiplier) else ONE)
    parts = overrides.overridden_slices(entry.rate, change, before=before, quantity=quantity)
    if is_graduated(rate):
        assert sum((part.quantity for part in parts), ZERO) == quantity, "tiers share the quantity out"
    return parts
