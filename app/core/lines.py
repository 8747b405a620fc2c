"""The lines of an invoice: what they say, and which of them are shown as one.

Owns the value that everything about an invoice is made of. Where lines come from is left to `rating` and to the fees
and charges of a contract; totals are left to `invoice`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.money import ZERO, exact
from app.core.per_event import EventPart
from app.core.terms import Group


class LineType(StrEnum):
    """What a line stands for."""

    USAGE = "usage"
    COMPOSITE = "composite"
    MINIMUM = "minimum"
    CPU_CONVERSION = "cpu_conversion"
    COMMIT_PURCHASE = "commit_purchase"
    TRUEUP = "trueup"
    APPLIED = "applied"
    SUBSCRIPTION = "subscription"
    SCHEDULED = "scheduled"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class LineTier:
    """The tier of a line: its number from 1, the quantity at which it begins, its width (None: without end)."""

    level: int
    starting_at: Decimal
    size: Decimal | None


@dataclass(frozen=True, slots=True)
class LineOrigin:
    """The line of another invoice that a line repeats."""

    invoice_id: UUID
    position: int


class Line(NamedTuple):
    """One line of an invoice, exact. Lines are many and wide, and a tuple is made in a third of the time of a dataclass.

    `unit` is the code of the unit of `amount`; `rate_id` names the rate entry that gave the list price, `override_id`
    the override that changed it. A line that a balance pays names it by `grant_id` and `segment`; the `applied` line
    that takes its amount off again says what it was `applied_to`. A line with `in_total` false is shown and does not
    count: those in a custom unit, which a `cpu_conversion` line sums up, and what counts towards a postpaid commit.
    A fee or charge names its `subscription_id` or `charge_id`, its date as `charged_at`, and its `ordinal` among those
    of one source and instant.
    A line at a price per event says in `per_event` which events it counts, and so whether its quantity is money or events.
    A line of a consolidated invoice has its `origin` in one of its constituents.
    Fields that a type does not need are None or empty.
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
    grant_id: UUID | None = None
    segment: int | None = None
    applied_to: LineType | None = None
    converted_unit: str | None = None
    subscription_id: UUID | None = None
    charge_id: UUID | None = None
    charged_at: datetime | None = None
    ordinal: int = 0
    origin: LineOrigin | None = None
    per_event: EventPart | None = None


_MERGED = (LineType.COMPOSITE, LineType.MINIMUM, LineType.CPU_CONVERSION)


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines, with those of composite products and conversions put together that differ in nothing but time.

    They are rated phase by phase, so that balances pay by time, and shown as one (golden decision 14). The order of the
    lines stays; what is put together stands where its first part stood.
    """
    found: dict[object, Line] = {}
    with exact():
        for place, line in enumerate(lines):
            if line.type not in _MERGED and line.applied_to not in _MERGED:
                found[place] = line
                continue
            nothing = line._replace(quantity=None, amount=ZERO, starting_at=None, ending_before=None)
            first = found.get(nothing)
            if first is not None:
                line = first._replace(
                    quantity=None if line.quantity is None else (first.quantity or ZERO) + line.quantity,
                    amount=first.amount + line.amount,
                    ending_before=line.ending_before,
                )
            found[nothing] = line
    return tuple(line for line in found.values() if line.quantity or line.amount)
