"""Which balance pays which charge, and how much: the loop of semantics 6.3, step 6.

Owns the taking: pots in burn order, charges in line order, exact amounts, no division reaching a balance. What a charge
costs when a balance pays it is left to `commit_prices`; what is covered becomes lines in `statement_lines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.charging import Charge
from app.core.commit_prices import drawn_price
from app.core.grants import Grant, GrantType, Pot, SegmentKey, may_pay
from app.core.lines import Line
from app.core.money import ONE, ZERO, divide, exact
from app.core.period import Period
from app.core.rates import Slice
from app.core.terms import Product, Terms


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is left of the charges in a custom unit, to be paid in the card's currency: a charge without a product."""

    converted_unit: str
    unit: str
    phase: Period
    priced: Slice


@dataclass(frozen=True, slots=True)
class Cover:
    """A stretch of a charge that one pot pays: the charge's own units from `start` on, at the price of `priced`.

    The amount is exact and the quantity derived from it, so a quantity times its price may miss it by a 12th place.
    """

    pot: SegmentKey
    is_postpaid: bool
    start: Decimal
    priced: Slice
    override_id: UUID | None

    @property
    def end(self) -> Decimal:
        """The first unit after the stretch."""
        return self.start + self.priced.quantity


@dataclass(slots=True)
class Payable:
    """Something that balances may pay, what they have paid of it, and the stretches that are open still.

    A fee is never split by quantity (golden decision 21): its units are those of its amount. What is negative or free is
    not open from the start: negative charges are never covered, and what is free needs no balance.
    """

    item: Charge | Conversion | Line
    unit: str
    instant: datetime
    product: Product | None
    priced: Slice
    covers: list[Cover] = field(default_factory=list)
    open: list[tuple[Decimal, Decimal]] = field(default_factory=list)

    @classmethod
    def of(cls, item: Charge | Conversion) -> Payable:
        """A charge, or what is left in a custom unit."""
        product = item.product if isinstance(item, Charge) else None
        return cls(item, item.unit, item.phase.starting_at, product, item.priced, open=_open(item.priced))

    @classmethod
    def of_fee(cls, line: Line, products: Mapping[UUID, Product]) -> Payable:
        """A subscription's fee; it happens when the service that it pays for begins (golden decision 26)."""
        assert line.starting_at is not None, "a fee is for a service that begins at some time"
        assert line.product_id is not None, "a fee is for a product"
        whole = Slice(None, None, None, line.amount, ONE, line.amount)
        return cls(line, line.unit, line.starting_at, products.get(line.product_id), whole, open=_open(whole))

    @property
    def quantity_left(self) -> Decimal:
        """The quantity that no balance pays."""
        with exact():
            return self.priced.quantity - sum((cover.priced.quantity for cover in self.covers), ZERO)

    @property
    def amount_left(self) -> Decimal:
        """What no balance pays of it, at its own price."""
        with exact():
            return self.quantity_left * self.priced.unit_price if self.covers else self.priced.amount

    @property
    def amount(self) -> Decimal:
        """What it costs, at the prices at which it is paid."""
        with exact():
            return self.amount_left + sum((cover.priced.amount for cover in self.covers), ZERO)


def _open(priced: Slice) -> list[tuple[Decimal, Decimal]]:
    return [(ZERO, priced.quantity)] if priced.amount > ZERO and priced.quantity > ZERO else []


@dataclass(frozen=True, slots=True)
class Draw:
    """What a statement takes from one segment, above zero."""

    pot: SegmentKey
    amount: Decimal


class Purse:
    """The pots of a statement while they are emptied."""

    def __init__(self, pots: Sequence[Pot], terms: Terms) -> None:
        """`pots` in burn order."""
        self._pots = pots
        self._terms = terms
        self._left = {pot.key: pot.available for pot in pots}

    def draw(self, payables: Sequence[Payable]) -> None:
        """Let each pot in turn pay what it may, in the order of the payables."""
        waiting = [payable for payable in payables if payable.open]
        with exact():
            for pot in self._pots:
                left = self._left[pot.key]
                for payable in waiting:
                    if left > ZERO and _fits(pot, payable):
                        left -= self._cover(pot, payable, left)
                self._left[pot.key] = left
                waiting = [payable for payable in waiting if payable.open]

    def draws(self) -> tuple[Draw, ...]:
        """What was taken so far, in burn order, without pots that were left alone."""
        with exact():
            taken = [(pot.key, pot.available - self._left[pot.key]) for pot in self._pots]
        assert all(amount >= ZERO and self._left[key] >= ZERO for key, amount in taken if amount), "no pot is overdrawn"
        return tuple(Draw(key, amount) for key, amount in taken if amount)

    def _cover(self, pot: Pot, payable: Payable, available: Decimal) -> Decimal:
        """Pay what is possible of one payable; returns what that takes."""
        is_postpaid = pot.grant.type is GrantType.POSTPAID
        taken, still_open = ZERO, list[tuple[Decimal, Decimal]]()
        for start, end in payable.open:
            position = start
            for part, override_id in self._priced(payable, pot.grant, start=start, quantity=end - start):
                stop, room = position + part.quantity, available - taken
                if part.amount > ZERO and room > ZERO:
                    paid = part if part.amount <= room else _paid_by(room, part, payable)
                    payable.covers.append(Cover(pot.key, is_postpaid, position, paid, override_id))
                    taken += paid.amount
                    position += paid.quantity
                if position < stop:
                    still_open.append((position, stop))
                position = stop
        payable.open = list(_joined(still_open))
        return taken

    def _priced(
        self, payable: Payable, grant: Grant, *, start: Decimal, quantity: Decimal
    ) -> Iterator[tuple[Slice, UUID | None]]:
        if isinstance(payable.item, Charge):
            price = drawn_price(self._terms, payable.item, grant, start=start, quantity=quantity)
            yield from ((part, price.override_id) for part in price.slices)
        else:
            yield payable.priced._replace(quantity=quantity, amount=quantity * payable.priced.unit_price), None


def _fits(pot: Pot, payable: Payable) -> bool:
    if pot.grant.unit != payable.unit or not any(period.contains(payable.instant) for period in pot.periods):
        return False
    if isinstance(payable.item, Charge):
        return may_pay(pot.grant, payable.product, payable.item.key.pricing, payable.item.key.presentation)
    return may_pay(pot.grant, payable.product)


def _paid_by(amount: Decimal, part: Slice, payable: Payable) -> Slice:
    """The first units of a slice, as many as the amount pays (at 12 places, never more than there are)."""
    exactly = amount if isinstance(payable.item, Line) else divide(amount, part.unit_price)
    return part._replace(quantity=min(exactly, part.quantity), amount=amount)


def _joined(stretches: Iterable[tuple[Decimal, Decimal]]) -> Iterator[tuple[Decimal, Decimal]]:
    """Stretches in order, with those that meet put together."""
    joined: list[tuple[Decimal, Decimal]] = []
    for start, end in stretches:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return iter(joined)


def line_order(payable: Payable) -> tuple[object, ...]:
    """Usage and conversions before fees; earlier first; the higher price first; then by name (semantics 6.3, step 5).

    Of equals the one with the smaller product id, group values and position goes first (golden decision 15).
    """
    item, instant = payable.item, payable.instant
    match item:
        case Charge():
            groups = (item.key.pricing, item.key.presentation)
            values = tuple((value is not None, value or "") for group in groups for _, value in group)
            inside = (item.priced.level or 0, item.priced.before, item.priced.part or "")
            # As numbers, ids sort as their texts do.
            return (0, instant, -item.priced.unit_price, item.product.name, item.product.id.int, values, *inside)
        case Conversion():
            return (0, instant, -item.priced.unit_price, item.converted_unit, -1, (), 0, ZERO, "")
        case Line():  # pragma: no branch - the type checker proves that no case is missing
            assert item.product_id is not None, "a fee is for a product"
            price = item.unit_price or ZERO
            return (1, instant, -price, item.product_name or "", item.product_id.int, (), 0, ZERO, "")
