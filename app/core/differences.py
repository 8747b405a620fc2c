"""What differs between two invoices, line by line.

Owns which lines are the same one: by everything but their interval, so that a price that changed shows as a line that
went and a line that came. Quantities and amounts are summed over intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.core.lines import Line
from app.core.money import ZERO, exact


@dataclass(frozen=True, slots=True)
class LineDifference:
    """A line of either invoice, without its interval, and how much of it each of them has."""

    line: Line
    quantity_before: Decimal
    quantity_after: Decimal
    amount_before: Decimal
    amount_after: Decimal


def line_differences(before: Iterable[Line], after: Iterable[Line]) -> tuple[LineDifference, ...]:
    """The lines that differ, in the order of the first invoice; what only the second one has comes last."""
    old, new = _summed(before), _summed(after)
    found: list[LineDifference] = []
    for line in dict.fromkeys([*old, *new]):
        quantity_before, amount_before = old.get(line, (ZERO, ZERO))
        quantity_after, amount_after = new.get(line, (ZERO, ZERO))
        if (quantity_before, amount_before) != (quantity_after, amount_after):
            found.append(LineDifference(line, quantity_before, quantity_after, amount_before, amount_after))
    return tuple(found)


def _summed(lines: Iterable[Line]) -> dict[Line, tuple[Decimal, Decimal]]:
    sums: dict[Line, tuple[Decimal, Decimal]] = {}
    with exact():
        for line in lines:
            key = line._replace(quantity=None, amount=ZERO, starting_at=None, ending_before=None, rate_id=None)
            quantity, amount = sums.get(key, (ZERO, ZERO))
            sums[key] = (quantity + (line.quantity or ZERO), amount + line.amount)
    return sums
