"""Recurring commits and credits: the children that a term stands for, one for each period.

Owns their dates and amounts (semantics 5.9). A child is fixed when its period begins (golden decision 32), so what comes
out here is stored once and never worked out again for a period that has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from app.core.money import ONE, divide, exact
from app.core.period import Frequency, Period, StatementSchedule, recurring_periods, statement_anchor


class GrantProration(StrEnum):
    """Whose amounts are cut to the share of time: a first period that begins late, a last one that ends early."""

    NONE = "NONE"
    FIRST = "FIRST"
    LAST = "LAST"
    FIRST_AND_LAST = "FIRST_AND_LAST"


@dataclass(frozen=True, slots=True)
class RecurringGrant:
    """A commit or credit for every period from its start on. Without `frequency` the periods are the statements'.

    `invoice_amount` None is a gift. `duration` is for how many periods a child may be used.
    """

    period: Period
    access_amount: Decimal
    invoice_amount: Decimal | None = None
    frequency: Frequency | None = None
    duration: int = 1
    proration: GrantProration = GrantProration.FIRST_AND_LAST

    def __post_init__(self) -> None:
        if self.duration < 1:
            raise ValueError(f"a child is usable for at least one period, not {self.duration}")


@dataclass(frozen=True, slots=True)
class Child:
    """One commit or credit of a recurring one, numbered from 1; it is bought where its access begins.

    `period` is the one that it stands for, as the term and the contract cut it, `whole` as it would be uncut.
    """

    number: int
    access: Period
    access_amount: Decimal
    invoice_amount: Decimal | None
    period: Period
    whole: Period


def children(
    recurring: RecurringGrant,
    schedule: StatementSchedule,
    *,
    contract: Period,
    begun_by: datetime,
    units_at: Callable[[datetime], Decimal] = lambda _: ONE,
) -> Iterator[Child]:
    """The children whose period began by an instant, in order of time.

    Amounts are those of the term times the units where the period begins, such as the seats of a subscription.

    Periods of an own frequency hang on the recurring grant's start, so the first is whole. The length of a period that
    the contract cuts is the uncut one (golden decision 34). Access ends with the term for a duration of one period,
    and never outlives the contract (golden decision 33).
    """
    within = recurring.period.intersect(contract)
    if within is None:
        return
    frequency = recurring.frequency or schedule.frequency
    anchor = statement_anchor(schedule, contract) if recurring.frequency is None else within.starting_at
    periods = recurring_periods(anchor, frequency, within=within, begun_by=begun_by)
    for number, (whole, cut) in enumerate(periods, start=1):
        share = _share(recurring.proration, whole, cut, is_first=number == 1)
        units = units_at(cut.starting_at)
        price = recurring.invoice_amount
        yield Child(
            number=number,
            access=_access(recurring, whole, cut, anchor=anchor, frequency=frequency, contract=contract),
            access_amount=_cut(recurring.access_amount, units, share),
            invoice_amount=None if price is None else _cut(price, units, share),
            period=cut,
            whole=whole,
        )


def _access(
    recurring: RecurringGrant, whole: Period, cut: Period, *, anchor: datetime, frequency: Frequency, contract: Period
) -> Period:
    if recurring.duration == 1:
        return cut
    later = recurring_periods(
        anchor,
        frequency,
        within=Period(whole.starting_at),
        begun_by=datetime.max.replace(tzinfo=whole.starting_at.tzinfo),
    )
    last = next(islice(later, recurring.duration - 1, None))[0]
    access = Period(cut.starting_at, last.ending_before).intersect(contract)
    assert access is not None, "a child begins inside its contract"
    return access


def _share(proration: GrantProration, whole: Period, cut: Period, *, is_first: bool) -> tuple[Decimal, Decimal]:
    """The seconds that count and those of the whole period."""
    assert whole.ending_before is not None, "a period of a frequency has an end"
    assert cut.ending_before is not None, "a period of a frequency has an end"
    from_start = is_first and proration in (GrantProration.FIRST, GrantProration.FIRST_AND_LAST)
    to_end = proration in (GrantProration.LAST, GrantProration.FIRST_AND_LAST)
    start = cut.starting_at if from_start else whole.starting_at
    end = cut.ending_before if to_end else whole.ending_before
    return _seconds(start, end), _seconds(whole.starting_at, whole.ending_before)


def part_left(child: Child, at: datetime, amount: Decimal) -> Decimal:
    """The share of an amount that belongs to the rest of a child's period, from an instant on."""
    assert child.period.ending_before is not None, "a period of a frequency has an end"
    assert child.whole.ending_before is not None, "a period of a frequency has an end"
    rest = _seconds(at, child.period.ending_before), _seconds(child.whole.starting_at, child.whole.ending_before)
    return _cut(amount, ONE, rest)


def _cut(amount: Decimal, units: Decimal, share: tuple[Decimal, Decimal]) -> Decimal:
    part, whole = share
    with exact():
        product = amount * units
    if part == whole:
        return product
    with exact():
        product *= part
    return divide(product, whole)


def _seconds(start: datetime, end: datetime) -> Decimal:
    return Decimal(int((end - start).total_seconds()))
