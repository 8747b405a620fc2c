"""A share of each event's money, with a least and a most that one event costs.

Owns the price and the three parts into which it divides events: what lies between its bounds counts with its money, what
lies below or above counts one by one. So a few sums for each hour say exactly what all of its events cost, however many
they are, and each part is a quantity at one price that balances can pay like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.core.money import ZERO, exact


class EventPart(StrEnum):
    """Which events a quantity is of: those at their share of the money, at the minimum or at the maximum."""

    BETWEEN = "BETWEEN"
    MINIMUM = "MINIMUM"
    MAXIMUM = "MAXIMUM"


@dataclass(frozen=True, slots=True)
class PercentagePerEvent:
    """A fraction of each event's money, raised to `minimum` and lowered to `maximum`; at least one of them is given.

    An event below zero takes back what the same event above zero costs; one of zero costs nothing. *Units*: the bounds are
    in the unit of the price.
    """

    fraction: Decimal
    minimum: Decimal | None
    maximum: Decimal | None

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise ValueError("a price per event has a minimum, a maximum or both")
        for name, value in (("fraction", self.fraction), ("minimum", self.minimum), ("maximum", self.maximum)):
            if value is not None and not (value.is_finite() and value >= 0):
                raise ValueError(f"the {name} of a price per event must be 0 or more, not {value}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"the minimum {self.minimum} is above the maximum {self.maximum}")

    def part_of(self, value: Decimal) -> EventPart:
        """Where an event of this money lies. Its share is compared, so nothing is divided."""
        with exact():
            share = abs(value) * self.fraction
        if self.minimum is not None and share < self.minimum:
            return EventPart.MINIMUM
        return EventPart.MAXIMUM if self.maximum is not None and share > self.maximum else EventPart.BETWEEN

    def counted(self, value: Decimal) -> Decimal:
        """What an event adds to the quantity of its part: its money, or one with the sign of the money."""
        if self.part_of(value) is EventPart.BETWEEN:
            return value
        return ZERO if not value else Decimal(1).copy_sign(value)

    def price_of(self, part: EventPart) -> Decimal:
        """The price of one of a part's quantity: of one unit of money, or of one event."""
        prices = {EventPart.BETWEEN: self.fraction, EventPart.MINIMUM: self.minimum, EventPart.MAXIMUM: self.maximum}
        price = prices[part]
        assert price is not None, "no event lies beyond a bound that is not there"
        return price

    def scaled(self, factor: Decimal) -> PercentagePerEvent:
        """What each event costs, multiplied: the bounds as well, so that every event stays in its part."""
        with exact():
            minimum, maximum = (None if bound is None else bound * factor for bound in (self.minimum, self.maximum))
            return PercentagePerEvent(self.fraction * factor, minimum, maximum)


class Measure(NamedTuple):
    """A quantity that only a price per event asks for: that of one part of the events, as the price divides them."""

    rate: PercentagePerEvent
    part: EventPart


def measures_of(rates: tuple[PercentagePerEvent, ...]) -> tuple[Measure, ...]:
    """Everything that must be measured for some prices."""
    return tuple(Measure(rate, part) for rate in rates for part in EventPart)
