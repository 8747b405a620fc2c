"""Lines put together by what they were used for: by product, and by the values of properties that split them.

Owns the sums. They count what the total counts, so the groups of some lines add up to those lines, whatever is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from app.core.lines import Line
from app.core.money import ZERO, exact
from app.core.terms import Group


@dataclass(frozen=True, slots=True)
class LineGroup:
    """The lines of one product (where it was asked for) and of one value of each property.

    `values` has every property by which lines were grouped, in the order asked for; None for lines without it. `quantity`
    is None where the lines of several products, of money and of events, or none that count anything, came
    together. `amount` is of the lines that count towards the total.
    """

    product_id: UUID | None
    product_name: str | None
    values: Group
    quantity: Decimal | None
    amount: Decimal


def grouped(lines: Iterable[Line], *, by: Sequence[str] = (), by_product: bool = False) -> tuple[LineGroup, ...]:
    """The lines by product and by the values of properties, pricing or presentation, in the order of first sight.

    What a balance pays of a line belongs to the line's group. Without any property there is one group, or none.
    """
    found: dict[tuple[UUID | str | None, Group], list[Line]] = {}
    for line in lines:
        values = {**dict(line.presentation), **dict(line.pricing)}
        product = (line.product_id or line.product_name) if by_product else None
        found.setdefault((product, tuple((name, values.get(name)) for name in by)), []).append(line)
    return tuple(_group(together, values, by_product=by_product) for (_, values), together in found.items())


def _group(lines: Sequence[Line], values: Group, *, by_product: bool) -> LineGroup:
    counted = [line for line in lines if line.quantity is not None]
    # What is counted in money and what in events is never added.
    is_one = len({(line.product_id, line.type, line.per_event) for line in counted}) == 1
    with exact():
        return LineGroup(
            product_id=lines[0].product_id if by_product else None,
            product_name=lines[0].product_name if by_product else None,
            values=values,
            quantity=sum((line.quantity or ZERO for line in counted), ZERO) if is_one else None,
            amount=sum((line.amount for line in lines if line.in_total), ZERO),
        )
