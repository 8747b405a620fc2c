"""The lines of an invoice: what they say, and which of them are shown as one.

Owns the value that everything about an invoice is made of. Where lines come from is left to `rating` and to the fees
and charges of a contract; totals are left to `invoice`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from app.core.money import ZERO, exact
from app.core.terms import Group


class LineType(StrEnum):
    """What a line stands for."""

    USAGE = "usage"
    COMPOSITE = "composite"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class LineTier:
    """The tier of a line: its number from 1, the quantity at which it begins, its width (None: without end)."""

    level: int
    starting_at: Decimal
    size: Decimal | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, exact.

    `unit` is the code of the unit of `amount`; `rate_id` names the rate entry that gave the list price, `override_id`
    the override that changed it. A line with `in_total` false is shown and does not count. Fields that a type does not need are None or empty.
    """

    type: LineType
    product_id: UUID | None
    product_name: str | None
    unit: str
    quantity: Decimal | None
    unit_price: Decimal | None
    amount: Decimal
    starting_at: datetime | None
    ending_before: datetime | None
    pricing: Group = ()
    presentation: Group = ()
    tier: LineTier | None = None
    rate_id: UUID | None = None
    override_id: UUID | None = None
    in_total: bool = True


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines, with those of composite products put together that differ in nothing but time (golden decision 14).

    The order of the lines stays; what is put together stands where its first part stood.
    """
    found: dict[object, Line] = {}
    with exact():
        for place, line in enumerate(lines):
            if line.type is not LineType.COMPOSITE:
                found[place] = line
                continue
            nothing = replace(line, quantity=None, amount=ZERO, starting_at=None, ending_before=None)
            first = found.get(nothing)
            if first is not None:
                assert first.quantity is not None, "a composite line has a quantity"
                assert line.quantity is not None, "a composite line has a quantity"
                line = replace(
                    first,
                    quantity=first.quantity + line.quantity,
                    amount=first.amount + line.amount,
                    ending_before=line.ending_before,
                )
            found[nothing] = line
    return tuple(line for line in found.values() if line.quantity or line.amount)
