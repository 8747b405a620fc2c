"""Outcomes that are taken back after they were billed: what a final statement asked for too much.

Owns the rule (semantics 11.3): the statement is rated once with the usage that it billed and once without the outcome, both
with the terms and balances that it saw; the difference is what goes back to whoever had paid. So tiers, overrides,
composites and balances come out exactly as if the outcome had never been, and reversals of one statement add up whatever
their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.grants import Pot, SegmentKey
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.money import ZERO, divide, exact
from app.core.quantities import Usage, UsageKey
from app.core.rating import Rating


@dataclass(frozen=True, slots=True)
class Worth:
    """What a statement asked for too much of one payer, in `unit`: the balance named by `paid_by`, None is the invoice.

    Below zero where it would have asked for more.
    """

    unit: str
    amount: Decimal
    paid_by: SegmentKey | None = None


def usage_change(before: Usage, after: Usage) -> dict[UsageKey, list[HourQuantity]]:
    """What leads from one usage to another, hours ascending; what stays the same is left out."""
    found: dict[UsageKey, list[HourQuantity]] = {}
    for key in dict.fromkeys([*before, *after]):
        with exact():
            sums = _summed((*after.get(key, ()), *(_negative(item) for item in before.get(key, ()))))
        hours = [HourQuantity(hour, quantity) for hour, quantity in sorted(sums.items()) if quantity]
        if hours:
            found[key] = hours
    return found


def changed(usage: Usage, changes: Iterable[Usage]) -> dict[UsageKey, Sequence[HourQuantity]]:
    """The usage after some changes; what none of them touches is as it was given."""
    found = dict(usage)
    for change in changes:
        for key, hours in change.items():
            sums = _summed((*found.get(key, ()), *hours))
            found[key] = [HourQuantity(hour, quantity) for hour, quantity in sorted(sums.items()) if quantity]
    return found


def part_of(
    change: Usage, product_ids: Collection[UUID], *, part: Decimal, whole: Decimal
) -> dict[UsageKey, list[HourQuantity]]:
    """A part of what an amount of money brought: that share of the change, for the products that bill the amount."""
    assert ZERO < part <= whole, "a part is more than nothing and not more than the whole"
    with exact():
        return {
            key: [HourQuantity(item.hour, divide(item.quantity * part, whole)) for item in hours]
            for key, hours in change.items()
            if key.product_id in product_ids
        }


def worths(before: Rating, after: Rating, *, unit: str, pots: Sequence[Pot]) -> tuple[Worth, ...]:
    """Who paid what too much: the invoice in its currency first, then balances in the order in which they paid.

    *Shapes*: both ratings are of one statement, with its fees and charges, before its rounding. Differences of zero are
    left out.
    """
    units = {pot.key: pot.grant.unit for pot in pots}
    with exact():
        found = [Worth(unit, _total(before.lines) - _total(after.lines))]
        then, now = ({draw.pot: draw.amount for draw in rating.draws} for rating in (before, after))
        found += [
            Worth(units[key], then.get(key, ZERO) - now.get(key, ZERO), key) for key in dict.fromkeys([*then, *now])
        ]
    return tuple(worth for worth in found if worth.amount)


def touches(change: Usage, line: Line) -> bool:
    """Whether a change takes usage from what a line bills."""
    if line.type is not LineType.USAGE or line.product_id is None or line.starting_at is None:
        return False
    hours = change.get(UsageKey(line.product_id, line.pricing, line.presentation), ())
    end = line.ending_before
    return any(line.starting_at <= item.hour and (end is None or item.hour < end) for item in hours)


def _total(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount for line in lines if line.in_total), ZERO)


def _negative(item: HourQuantity) -> HourQuantity:
    return HourQuantity(item.hour, -item.quantity)


def _summed(hours: Iterable[HourQuantity]) -> dict[datetime, Decimal]:
    sums: dict[datetime, Decimal] = {}
    with exact():
        for item in hours:
            sums[item.hour] = sums.get(item.hour, ZERO) + item.quantity
    return sums
