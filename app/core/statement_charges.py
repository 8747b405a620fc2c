"""Everything that one statement charges, in the order in which balances may pay it.

Owns the sequence of usage, charges in custom units and their conversion, fees and percentages of other charges. Who
pays is decided by the caller: balances are drawn down while a statement is rated, and a breakdown repeats what they did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.charging import Charge, PriceList
from app.core.composite import base_by_phase, includes, units_elsewhere, with_elsewhere
from app.core.drawdown import Conversion, Payable, line_order
from app.core.lines import Line
from app.core.money import ONE, ZERO, exact
from app.core.period import Period
from app.core.phases import phases, sums_by_phase
from app.core.quantities import Usage, UsageKey, parts_by_key
from app.core.rates import Slice
from app.core.statement_lines import display_order, key_order
from app.core.terms import Product, ProductType, Terms

Settle = Callable[[Sequence[Payable]], None]
"""Lets balances pay what they may of some payables, given in line order."""


class Statement:
    """The charges of one statement: made step by step, because later ones depend on what balances left of earlier."""

    def __init__(
        self,
        terms: Terms,
        period: Period,
        usage: Usage,
        *,
        segments: Iterable[Period],
        fees: Sequence[Line] = (),
        cuts: Sequence[datetime] = (),
    ) -> None:
        """`segments` are those of balances: a statement is split where one begins or ends, and at the `cuts`."""
        self._terms = terms
        self._prices = PriceList.of(terms)
        self._products = {product.id: product for product in terms.products}
        self._elsewhere = {item.product_id: item for item in terms.elsewhere}
        parts = (*segments, *(part for item in terms.elsewhere for part in item.billed))
        bounds = {bound for part in parts for bound in (part.starting_at, part.ending_before) if bound}
        self._stretches = phases(period, (*self._prices.change_instants(), *bounds, *cuts))
        self._usage = usage
        self._fees = [Payable.of_fee(line, self._products) for line in fees]
        self.unrated: list[tuple[UsageKey, Decimal]] = []

    @property
    def phase_starts(self) -> tuple[datetime, ...]:
        """Where the statement is split."""
        return tuple(phase.starting_at for phase in self._stretches)

    def settled(self, settle: Settle) -> list[Payable]:
        """All payables, with what `settle` lets balances pay of each, in no stated order.

        Charges in custom units come first, because what is left of them is paid in the card's currency.
        """
        by_unit: dict[str, list[Payable]] = {self._terms.unit.code: []}
        units, without_rate = units_elsewhere(self._terms)
        by_unit.update((unit, []) for unit in units)
        self.unrated.extend(without_rate)
        for charge in self._usage_charges():
            by_unit.setdefault(charge.unit, []).append(Payable.of(charge))
        currency = by_unit.pop(self._terms.unit.code)
        found: list[Payable] = []
        for unit, payables in sorted(by_unit.items()):
            own = self._settled_in_unit(unit, payables, settle)
            currency.extend(self._conversions(unit, own))
            found.extend(own)
        found.extend(self._settled_in_unit(self._terms.unit.code, [*currency, *self._fees], settle))
        return found

    def _usage_charges(self) -> list[Charge]:
        """Charges at base price, and usage without a rate.

        The tier position of a key counts from the start of the period and runs on through phases in which its product
        is not entitled or has no rate (golden decision 11). A product that is not entitled gives no charge.
        """
        charges: list[Charge] = []
        for key, parts in parts_by_key(self._usage):
            product = self._products.get(key.product_id)
            assert product is not None, "usage belongs to a product of the terms"
            quantities = sums_by_phase(parts.hours, self._stretches)
            measured = {one: sums_by_phase(hours, self._stretches) for one, hours in parts.measured.items()}
            found, without = self._prices.charges(product, key, quantities, self._stretches, measured=measured)
            charges.extend(found)
            if without:
                self.unrated.append((key, without))
        if self.unrated:
            order = display_order(self._terms, at=self._stretches[-1].starting_at)
            self.unrated.sort(key=lambda item: key_order(item[0], order))
        return charges

    def _settled_in_unit(self, unit: str, payables: list[Payable], settle: Settle) -> list[Payable]:
        """The payables of one unit and the percentages of them, settled in line order (semantics 6.3, steps 5 to 7)."""
        payables.sort(key=line_order)
        settle(payables)
        composites = [Payable.of(charge) for charge in self._composites(unit, payables)]
        if not composites:
            return payables
        composites.sort(key=line_order)
        settle(composites)
        return payables + composites

    def _composites(self, unit: str, payables: Iterable[Payable]) -> list[Charge]:
        """Percentages of what was charged in a unit, at the prices at which it was charged."""
        composites = [product for product in self._terms.products if product.type is ProductType.COMPOSITE]
        if not composites:
            return []
        spend = self._spend(payables)
        charges: list[Charge] = []
        for product in composites:
            base = base_by_phase(product, self._terms.products, spend, self._stretches)
            base = with_elsewhere(self._elsewhere.get(product.id), base, self._stretches, unit=unit)
            # Spend without a rate for it is no usage without a rate.
            found, _ = self._prices.charges(product, UsageKey(product.id), base, self._stretches, unit=unit)
            charges.extend(found)
            if unit == self._terms.unit.code:
                charges.extend(self._minimum(product, found, spend))
        return charges

    def _spend(self, payables: Iterable[Payable]) -> dict[UUID, list[Decimal]]:
        places = {phase: place for place, phase in enumerate(self._stretches)}
        spend: dict[UUID, list[Decimal]] = {}
        with exact():
            for payable in payables:
                if isinstance(payable.item, Charge):
                    of_product = spend.setdefault(payable.item.product.id, [ZERO] * len(self._stretches))
                    of_product[places[payable.item.phase]] += payable.amount
        return spend

    def _minimum(self, product: Product, charges: Iterable[Charge], spend: dict[UUID, list[Decimal]]) -> list[Charge]:
        """What a composite product misses of the least that it costs: the minimum of the last rate that has one."""
        for place in reversed(range(len(self._stretches))):
            phase = self._stretches[place]
            entry = self._prices.entitled_entry(product, at=phase.starting_at)
            if entry is None or entry.minimum is None or self._is_billed_elsewhere(product, phase):
                continue
            composite = product.at(phase.starting_at).composite
            assert composite is not None, "a composite product says what it is a percentage of"
            if composite.exclude_free_usage and not self._has_spend(product, spend):
                return []
            with exact():
                missing = entry.minimum - sum((charge.priced.amount for charge in charges), ZERO)
            if missing <= ZERO:
                return []
            part = Slice(None, None, None, missing, ONE, missing)
            unit = self._terms.unit.code
            return [Charge(product, UsageKey(product.id), phase, part, entry, None, unit, is_minimum=True)]
        return []

    def _has_spend(self, composite: Product, spend: dict[UUID, list[Decimal]]) -> bool:
        """Whether anything was charged for a product while it belonged to the composite one."""
        found = self._elsewhere.get(composite.id)
        if found is not None and any(not found.is_billed(item.hour) for item in found.spent):
            return True
        return any(
            amount
            and not self._is_billed_elsewhere(composite, phase)
            and includes(composite.at(phase.starting_at), other.at(phase.starting_at))
            for other in self._terms.products
            for phase, amount in zip(self._stretches, spend.get(other.id, ()), strict=False)
        )

    def _is_billed_elsewhere(self, product: Product, phase: Period) -> bool:
        found = self._elsewhere.get(product.id)
        return found is not None and found.is_billed(phase.starting_at)

    def _conversions(self, unit: str, payables: Iterable[Payable]) -> list[Payable]:
        """What is left of the charges in a custom unit, phase by phase, in the card's currency (semantics 5.10)."""
        price = dict(self._terms.conversions)[unit]
        left: dict[Period, Decimal] = dict.fromkeys(self._stretches, ZERO)
        with exact():
            for payable in payables:
                assert isinstance(payable.item, Charge), "only charges are in custom units"
                left[payable.item.phase] += payable.amount_left
            return [
                Payable.of(
                    Conversion(unit, self._terms.unit.code, phase, Slice(None, None, None, rest, price, rest * price))
                )
                for phase, rest in left.items()
                if rest
            ]
